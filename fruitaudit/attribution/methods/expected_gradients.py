from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import (
    OPTIONS,
    SCORE_DIFFERENCE,
    Model,
    Passes,
    Registration,
    Shape,
    Sum,
    completeness_error,
    reduce_channels,
)
from fruitaudit.attribution.passes import add_per_image, rows
from fruitaudit.attribution.scores import gradients_of, pick
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class ExpectedGradients:
    """How much each pixel adds to the class score, compared with the images that the model learned from.

    EG_i(x) = 1/n * sum_s (x_i - b_i^s) * dF/dx_i (b^s + a_s (x - b^s)),  F the logit of the class; b^s goes through the
    reference images, a_s through the way to them.
    Paper: Erion, Janizek, Sturmfels, Lundberg, Lee 2021, arXiv:1906.10670, eq. 4-5.
    Differs from the paper: b^s and a_s are not drawn independently: every reference image comes equally often (in an
    order drawn for each image), and a_s has one value, drawn uniformly, in each n-th part of 0..1. Both leave the
    expectation as it is and make the map's error smaller. Channels are summed to one map.

    Parameters: `samples` n; `references` images of the reference split to compare with, all of it where it is smaller.
    Returns maps (N, H, W) in logits, signed. Diagnostics, (N,): "score_difference" F(x) - mean F(b) over the
    references, in logits, and "completeness_error" |sum EG - difference| / |difference|, which shrinks with `samples`.
    Raises CannotExplain where there are no reference images.
    """

    registration: ClassVar[Registration] = Registration(
        name="expected_gradients",
        title="Expected gradients",
        family="gradient",
        question="Which pixels make up the score, for and against, compared with the images the model learned from?",
        paper="Erion et al. 2021, arXiv:1906.10670",
        explains="logit",
        channels="sum",
        signed=True,
        needs=("scores", "gradients"),
        linear=True,
        adds_up=Sum(less="background", within=None),
        quick_options=(("samples", 20), ("references", 5)),
        cost="samples gradients, 1 forward (and 1 for each reference image)",
        diagnostics=(
            completeness_error(
                "Raise `samples` until the error is small; where the score hardly differs from that of the reference "
                "images, it stays large and there is little to account for."
            ),
            SCORE_DIFFERENCE,
        ),
        contrast=True,
        sensitivity_options=(("samples", 10), ("references", 2)),
    )

    samples: Annotated[int, Field(ge=1)] = 100
    references: Annotated[int, Field(ge=1)] = 50

    @property
    def background_size(self) -> int:
        return self.references

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        if images.background is None or not len(images.background.values):
            raise CannotExplain("expected gradients needs reference images; use integrated gradients instead")
        references = images.background.values
        choice, position = self._draw(images, len(references), streams)
        totals = np.zeros(images.values.shape[:3])
        for image, sample in rows(len(images), self.samples, model.batch_size):
            start = references[choice[image, sample]]
            offset = images.values[image] - start
            points = start + position[image, sample, None, None, None] * offset
            gradients = gradients_of(model, points, targets.select(image))
            add_per_image(totals, image, reduce_channels(offset * gradients, "sum"))
        values = totals / self.samples

        logits = model.logits(np.concatenate([references, images.values])).astype(np.float64)
        mean_logits = np.broadcast_to(logits[: len(references)].mean(axis=0), (len(images), model.n_classes))
        difference = pick(logits[len(references) :], targets) - pick(mean_logits, targets)
        error = abs(values.sum(axis=(1, 2)) - difference) / np.maximum(abs(difference), np.finfo(np.float32).eps)
        return Maps(
            values.astype(np.float32),
            {"completeness_error": error.astype(np.float32), "score_difference": difference.astype(np.float32)},
            (f"compared with {len(references)} of {images.background.population} reference images",),
        )

    def _draw(self, images: Images, n_references: int, streams: Streams) -> tuple[IntArray, FloatArray]:
        """(N, samples) each: which reference image, and how far on the way from it."""
        choices, positions = [], []
        for sample_id in images.sample_ids:
            rng = streams.rng("expected_gradients", sample_id)
            rounds = -(-self.samples // n_references)
            choices.append(np.concatenate([rng.permutation(n_references) for _ in range(rounds)])[: self.samples])
            positions.append(rng.permutation((np.arange(self.samples) + rng.random(self.samples)) / self.samples))
        return np.stack(choices), np.stack(positions).astype(np.float32)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images + self.references, gradient=n_images * self.samples)


METHODS = (ExpectedGradients,)
