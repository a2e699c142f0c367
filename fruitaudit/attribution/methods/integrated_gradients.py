from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import (
    OPTIONS,
    SCORE_DIFFERENCE,
    Diagnostic,
    Model,
    Passes,
    Registration,
    Shape,
    Sum,
    completeness_error,
)
from fruitaudit.attribution.baselines import blurred, colour
from fruitaudit.attribution.passes import add_per_image, rows, runs
from fruitaudit.attribution.scores import gradients_of, pick
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

FIRST, MOST = 16, 1024
"""Steps that `auto` begins with, and where it gives up."""
ENOUGH = 0.01
"""The completeness error at which `auto` stops."""
MEAN_OF = 100
"""Reference images whose mean is the baseline "mean_image"."""


@dataclass(frozen=True, config=OPTIONS)
class IntegratedGradients:
    """How much each pixel adds to the class score on the way from an empty image to this one.

    IG_i(x) = (x_i - b_i) * 1/m * sum_k dF/dx_i (b + t_k (x - b)),  t_k = (k + 1/2) / m, F the logit of the class.
    Paper: Sundararajan, Taly, Yan 2017, arXiv:1703.01365, eq. 1-3.
    Differs from the paper: midpoints instead of right end points of the m steps (a smaller error at equal cost);
    channels are summed to one map, which keeps the sum over the map equal to F(x) - F(b). With "auto" t_k = k / m, the
    ends counting half, and m doubles from 16 until the completeness error is under 1 %: every gradient is used again.
    At 1024 steps it gives up on an image, and says so. The baselines besides black are those of Sturmfels, Lundberg,
    Lee 2020 (doi:10.23915/distill.00022).

    Parameters: `steps` m, or "auto"; `baseline` the empty image b: a colour, the image blurred by a tenth of its
    shorter side, the mean of up to 100 reference images, or uniform noise over the input's range (one draw per image).
    Returns maps (N, H, W) in logits, signed. Diagnostics, (N,): "score_difference" F(x) - F(b) in logits and
    "completeness_error" |sum IG - (F(x) - F(b))| / |F(x) - F(b)|; above 0.05 more steps are needed; with "auto" also
    the "steps" taken.
    Raises CannotExplain where the mean image is asked for and there are no reference images.
    """

    registration: ClassVar[Registration] = Registration(
        name="integrated_gradients",
        title="Integrated gradients",
        family="gradient",
        question="Which pixels make up the score, for and against, when the image appears out of an empty one?",
        paper="Sundararajan et al. 2017, arXiv:1703.01365",
        explains="logit",
        channels="sum",
        signed=True,
        needs=("scores", "gradients"),
        linear=True,
        adds_up=Sum(less="black", within=None),
        cost="steps gradients (auto: at most 1025), 1 forward (and 1 for the baseline)",
        diagnostics=(
            completeness_error(
                "Raise `steps` until the error is small; where the score hardly differs from that of the baseline, it "
                "stays large and there is little to account for."
            ),
            SCORE_DIFFERENCE,
            Diagnostic("steps", "steps"),
        ),
        contrast=True,
        sensitivity_options=(("steps", 2), ("baseline", "white")),
    )

    steps: Annotated[int, Field(ge=1)] | Literal["auto"] = 25
    baseline: Literal["black", "grey", "white", "blurred", "mean_image", "uniform"] = "black"

    @property
    def background_size(self) -> int:
        return MEAN_OF if self.baseline == "mean_image" else 0

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        start = self._baselines(images, streams)
        logits = model.logits(np.concatenate([start, images.values])).astype(np.float64)
        baseline_logits = np.broadcast_to(logits[: len(start)], (len(images), model.n_classes))
        gain = pick(logits[len(start) :], targets) - pick(baseline_logits, targets)
        difference = images.values - start
        path = _Path(model, np.broadcast_to(start, difference.shape), difference, targets, gain)
        if self.steps == "auto":
            return _until_complete(path)
        means = path.sums((np.arange(self.steps) + 0.5) / self.steps) / self.steps
        return Maps(path.maps(means).astype(np.float32), path.diagnostics(means))

    def _baselines(self, images: Images, streams: Streams) -> FloatArray:
        """(N, H, W, C), or (1, H, W, C) where all images have the same one."""
        if self.baseline == "blurred":
            return blurred(images)
        if self.baseline == "uniform":
            noise = [
                streams.rng("integrated_gradients", i).random(images.values.shape[1:], np.float32)
                for i in images.sample_ids
            ]
            return images.low + np.stack(noise) * (images.high - images.low)
        if self.baseline != "mean_image":
            return np.full((1, *images.values.shape[1:]), colour(images, self.baseline))
        if images.background is None:
            raise CannotExplain("the baseline mean_image needs reference images; use the baseline blurred instead")
        return images.background.values.mean(axis=0, keepdims=True)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        """With "auto" at most."""
        return self._passes(n_images, MOST + 1 if self.steps == "auto" else self.steps)

    def least_passes(self, n_images: int, input_shape: Shape) -> Passes:
        """With "auto" where the first steps are enough for every image."""
        return self._passes(n_images, FIRST + 1 if self.steps == "auto" else self.steps)

    def _passes(self, n_images: int, steps: int) -> Passes:
        baselines = n_images if self.baseline in ("blurred", "uniform") else 1
        return Passes(forward=n_images + baselines, gradient=n_images * steps)


@dataclasses.dataclass(frozen=True)
class _Path:
    """The straight line from each baseline to its image: `start` + t `difference`; the score rises by `gain` (N,)."""

    model: Model
    start: FloatArray
    difference: FloatArray
    targets: Targets
    gain: DoubleArray

    def sums(self, fractions: DoubleArray, image_rows: IntArray | None = None) -> DoubleArray:
        """(N, H, W, C) sum of the gradients at these t, of all images or of these."""
        image_rows = np.arange(len(self.difference)) if image_rows is None else image_rows
        shares = fractions.astype(np.float32)[:, None, None, None]
        totals = np.zeros((len(image_rows), *self.difference.shape[1:]))
        buffer = np.empty(
            (min(self.model.batch_size, len(image_rows) * len(fractions)), *self.difference.shape[1:]), np.float32
        )
        for image, step in rows(len(image_rows), len(fractions), self.model.batch_size):
            points = buffer[: len(image)]
            for i, variants in runs(image):
                np.multiply(shares[step[variants]], self.difference[image_rows[i]], out=points[variants])
                points[variants] += self.start[image_rows[i]]
            add_per_image(totals, image, gradients_of(self.model, points, self.targets.select(image_rows[image])))
        return totals

    def maps(self, means: DoubleArray) -> DoubleArray:
        """(N, H, W) of the mean gradients on the way."""
        return (self.difference * means).sum(axis=-1)

    def diagnostics(self, means: DoubleArray) -> dict[str, FloatArray]:
        """By name, (N,) each."""
        gap = abs(self.maps(means).sum(axis=(1, 2)) - self.gain)
        error = gap / np.maximum(abs(self.gain), np.finfo(np.float32).eps)
        return {"completeness_error": error.astype(np.float32), "score_difference": self.gain.astype(np.float32)}


def _until_complete(path: _Path) -> Maps:
    """Trapezoids: the ends count half, and twice as many steps need only the gradients in between."""
    totals = path.sums(np.array([0.0, 1.0])) / 2 + path.sums(np.arange(1, FIRST) / FIRST)
    steps = np.full(len(totals), FIRST)
    while True:
        means = totals / steps[:, None, None, None]
        diagnostics = path.diagnostics(means)
        poor = diagnostics["completeness_error"] >= ENOUGH
        unfinished = np.flatnonzero(poor & (steps < MOST))
        if not len(unfinished):
            break
        midpoints = steps[unfinished[0]]  # the same for all that are not finished
        totals[unfinished] += path.sums((np.arange(midpoints) + 0.5) / midpoints, unfinished)
        steps[unfinished] *= 2
    notes = [f"{FIRST} to {MOST} steps, doubled until the completeness error is under {ENOUGH:.0%}"]
    if poor.any():
        notes.append(f"{poor.sum()} of {len(poor)} maps do not converge: at {MOST} steps they still miss their "
                     f"score difference by {ENOUGH:.0%} or more")  # fmt: skip
    return Maps(path.maps(means).astype(np.float32), diagnostics | {"steps": steps.astype(np.float32)}, tuple(notes))


METHODS = (IntegratedGradients,)
