from __future__ import annotations

import itertools
from math import comb
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, SCORE_DIFFERENCE, Diagnostic, Model, Passes, Registration, Shape, Sum
from fruitaudit.attribution.baselines import Hide
from fruitaudit.attribution.scores import ExplainedScore, scores_of
from fruitaudit.attribution.superpixels import (
    Labels,
    Segmentation,
    hidden_superpixels,
    segments_of,
    shown_in_part,
    superpixels,
)
from fruitaudit.records.data import BoolArray, DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Segments, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class KernelShap:
    """What each superpixel adds to the class's score, on average over all orders in which they could be shown.

    phi = argmin sum_z w(|z|) (f(z) - f(0) - z . phi)^2  with  sum phi = f(1) - f(0),
    w(s) = (S - 1) / (C(S, s) s (S - s)),  f(z) the score of the image with only the superpixels of z shown.
    Paper: Lundberg, Lee 2017, arXiv:1705.07874, theorem 2.
    Differs from the paper: nothing where all 2^S coalitions fit into `samples`; the result then is the Shapley value.
    Else coalitions come in pairs z, 1 - z; sizes from the outside (1 and S - 1, 2 and S - 2, ...) are all taken as long
    as they fit, of the others some are drawn with the probability of their weight, as the `shap` package does. Hidden
    superpixels show a fill, where the paper averages over other images.

    Parameters: `samples` coalitions at most, the whole and the empty one among them; `segmentation` and `kernel` of the
    superpixels, as LIME, which finds the same ones; `hide` what a hidden superpixel shows: its own mean colour, another
    colour, or the blurred image; `explains` f, the probability or the logit.
    Returns segments with Shapley values in what it explains, signed. Diagnostics, (N,): "score_difference" f(1) - f(0),
    which the values add up to, "exact" 1 where they are exact, "superpixels".
    """

    registration: ClassVar[Registration] = Registration(
        name="kernel_shap",
        title="KernelSHAP",
        family="perturbation",
        question="What does each part of the image add to the class's score, whatever else is shown?",
        paper="Lundberg and Lee 2017, arXiv:1705.07874",
        explains="probability",
        channels="none",
        signed=True,
        needs=("scores",),
        linear=True,
        adds_up=Sum(less="hidden"),
        quick_options=(("samples", 64), ("hide", "grey")),
        cost="at most samples forward (2 to the power of the superpixels, where that is less)",
        upper_bound=True,
        diagnostics=(SCORE_DIFFERENCE, Diagnostic("exact", "exact"), Diagnostic("superpixels", "superpixels")),
        contrast=True,
        sensitivity_options=(
            ("samples", 60),
            ("segmentation", "slic"),
            ("kernel", 2.0),
            ("hide", "black"),
            ("explains", "logit"),
        ),
    )

    samples: Annotated[int, Field(ge=10)] = 2048
    segmentation: Segmentation = "quickshift"
    kernel: Annotated[float, Field(ge=1)] | None = None
    hide: Hide = "mean"
    explains: ExplainedScore = "probability"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Segments:
        segments, values, fits = [], [], []
        for i, labels in enumerate(superpixels(images, streams, self.segmentation, self.kernel)):
            one = slice(i, i + 1)
            coalition_masks, weights, exact = coalitions(
                int(labels.max()) + 1, self.samples, streams.rng("kernel_shap", images.sample_ids[i])
            )
            scores = self._scores(model, images.select(one), targets.select(one), labels, coalition_masks)
            segments.append(labels)
            values.append(shapley_values(coalition_masks, weights, scores).astype(np.float32))
            fits.append((scores[1] - scores[0], exact, len(values[-1])))
        return segments_of(segments, values, ("score_difference", "exact", "superpixels"), fits)

    def _scores(self, model: Model, image: Images, target: Targets, labels: Labels, shown: BoolArray) -> FloatArray:
        """(n,) the score of one image with each of the coalitions shown."""
        filled = hidden_superpixels(image, labels, self.hide)
        batches = shown_in_part(image.values[0], filled, labels, shown, model.batch_size)
        return np.concatenate([
            scores_of(model, values, target.select(np.zeros(len(values), np.int64)), self.explains)
            for values in batches
        ])  # fmt: skip

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * self.samples)


def coalitions(n_players: int, samples: int, rng: np.random.Generator) -> tuple[BoolArray, DoubleArray, bool]:
    """(n, S) who is shown, first nobody, then all; the weight of each of the others (n - 2,); whether all are there."""
    ends = np.array([[False] * n_players, [True] * n_players])
    mass = np.array([1 / (s * (n_players - s)) for s in range(1, n_players)])  # of all coalitions of a size
    masks, weights, remaining = [ends], [], samples - 2
    for size in range(1, n_players // 2 + 1):
        sizes = {size, n_players - size}
        open_sizes = np.arange(size, n_players - size + 1)  # sizes not yet taken, from the outside in
        count = comb(n_players, size) * len(sizes)
        # All of this size, if fewer than would be drawn of it.
        if count > remaining * sum(mass[s - 1] for s in sizes) / mass[open_sizes - 1].sum():
            random_masks = _random_coalitions(n_players, open_sizes, mass[open_sizes - 1], remaining, rng)
            masks.append(random_masks)
            weights.append(np.full(len(random_masks), mass[open_sizes - 1].sum() / max(len(random_masks), 1)))
            return np.concatenate(masks), np.concatenate(weights), False
        for s in sorted(sizes):
            all_of_size = np.zeros((comb(n_players, s), n_players), bool)
            members = np.array(list(itertools.combinations(range(n_players), s)))
            np.put_along_axis(all_of_size, members, values=True, axis=1)
            masks.append(all_of_size)
            weights.append(np.full(len(all_of_size), mass[s - 1] / len(all_of_size)))
        remaining -= count
    return np.concatenate(masks), np.concatenate([np.empty(0), *weights]), True


def _random_coalitions(
    n_players: int, sizes: IntArray, mass: DoubleArray, n: int, rng: np.random.Generator
) -> BoolArray:
    """(n, S) coalitions of these sizes, drawn with the mass of each size, every second one the rest of the last."""
    pairs = -(-n // 2)
    pair_sizes = rng.choice(sizes, pairs, p=mass / mass.sum())
    masks = rng.random((pairs, n_players)).argsort(axis=1).argsort(axis=1) < pair_sizes[:, None]
    return np.stack([masks, ~masks], axis=1).reshape(-1, n_players)[:n]


def shapley_values(shown: BoolArray, weights: DoubleArray, scores: FloatArray) -> DoubleArray:
    """(S,) solution of the weighted least squares; the first two coalitions are nobody and all.

    Their sum is given, so that the last value is the rest. Where there are fewer coalitions than superpixels, the
    solution of smallest length.
    """
    empty_score, gain = float(scores[0]), float(scores[1]) - float(scores[0])
    z = shown[2:].astype(np.float64)
    y = scores[2:].astype(np.float64) - empty_score - z[:, -1] * gain
    root = np.sqrt(weights)
    others = np.linalg.lstsq(root[:, None] * (z[:, :-1] - z[:, -1:]), root * y)[0]
    return np.append(others, gain - others.sum())


METHODS = (KernelShap,)
