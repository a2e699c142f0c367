"""mu-fidelity: does the evidence in a set of pixels say how much the score falls without them?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.baselines import colour
from fruitaudit.attribution.passes import rows
from fruitaudit.models.base import WithScores
from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Explains, Targets
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.ordering import score_usable_maps

CELLS = 9
"""Cells per side of the grid that subsets are made of."""
SHARE = 0.2
SUBSETS = 64


@dataclass(frozen=True)
class Effects:
    """What hiding random subsets of each image does to its class. Made once, whatever the number of methods.

    `hidden` (N, SUBSETS, cells): whether a cell is hidden; `drops` (N, SUBSETS) of logit and of probability.
    """

    hidden: npt.NDArray[np.bool_]
    cell: IntArray
    """(H, W): the cell of each pixel."""
    drops: dict[Explains, npt.NDArray[np.float64]]

    def first(self, n: int) -> Effects:
        """Those of the first n images."""
        return Effects(self.hidden[:n], self.cell, {name: drops[:n] for name, drops in self.drops.items()})


def subset_effects(model: WithScores, images: Images, targets: Targets, streams: Streams) -> Effects:
    """Hide SUBSETS random fifths of the cells of each image in grey, all colour channels together."""
    height, width = images.values.shape[1:3]
    y, x = (np.arange(side) * min(CELLS, side) // side for side in (height, width))
    cell = y[:, None] * (x[-1] + 1) + x[None]
    n_cells = int(cell.max()) + 1
    uniform = [streams.rng("trust", "subsets", i).random((SUBSETS, n_cells)) for i in images.sample_ids]
    hidden = np.argsort(np.argsort(np.stack(uniform), axis=-1), axis=-1) < max(1, round(SHARE * n_cells))
    grey = colour(images, "grey")
    after = {name: np.empty((len(images), SUBSETS)) for name in ("logit", "probability")}
    for image, subset in rows(len(images), SUBSETS, model.batch_size):
        mask = hidden[image, subset][:, cell]
        scores = _scores(model, np.where(mask[..., None], grey, images.values[image]), targets.classes[image])
        for name in after:
            after[name][image, subset] = scores[name]
    before = _scores(model, images.values, targets.classes)
    return Effects(hidden, cell, {name: before[name][:, None] - after[name] for name in after})  # type: ignore[misc]


def _scores(model: WithScores, values: FloatArray, classes: IntArray) -> dict[str, npt.NDArray[np.float64]]:
    logits = model.logits(values.astype(np.float32)).astype(np.float64)
    each = np.arange(len(logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {"logit": logits[each, classes], "probability": powers[each, classes] / powers.sum(axis=1)}


def mu_fidelity(effects: Effects, maps: FloatArray, explains: Explains) -> DoubleArray:
    """Correlation over subsets S of the evidence inside S with the drop of the score without S, (N,), -1..1.

    corr_S( sum_{i in S} g_i , f(x) - f(x with S grey) ),  f the logit or probability that the method explains.
    Paper: Bhatt, Weller, Moura 2020, arXiv:2005.00631, def. 4.
    Differs from the paper: subsets are made of the cells of a 9 x 9 grid, as single pixels hide next to nothing.
    """

    def score(usable: IntArray) -> DoubleArray:
        n_cells = effects.hidden.shape[-1]
        sums = np.stack([np.bincount(effects.cell.ravel(), m.ravel(), n_cells) for m in maps[usable]])
        evidence = np.einsum("nsc,nc->ns", effects.hidden[usable].astype(np.float64), sums)
        return _pearson(evidence, effects.drops[explains][usable])

    return score_usable_maps(maps, score)


def _pearson(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> DoubleArray:
    a, b = (values - values.mean(axis=1, keepdims=True) for values in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    # Differences that are rounding errors of the model correlate with nothing.
    return np.divide((a * b).sum(axis=1), lengths, out=np.full(len(a), np.nan), where=lengths > 1e-12)
