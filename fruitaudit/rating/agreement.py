"""Krippendorff's alpha: do ratings agree more than chance would make them?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import DoubleArray, IntArray
from fruitaudit.records.states import NotRun, Quantity
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.bootstrap import estimate, resample

STEPS = 5
"""Ratings are 1 .. STEPS."""
RESAMPLES = 2000


def coincidences(ratings: DoubleArray) -> DoubleArray:
    """(observers, units) ratings, NaN where missing -> (units, STEPS, STEPS): pairs of ratings within each unit.

    o_ck = (n_c n_k - [c = k] n_c) / (m - 1) for a unit that m observers rated, n_c of them with c; 0 for m < 2.
    """
    counts = np.stack([(ratings == step).sum(axis=0) for step in range(1, STEPS + 1)], axis=-1).astype(np.float64)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(STEPS)
    return pairs / np.maximum(counts.sum(axis=-1) - 1, 1)[:, None, None]


def alpha(matrix: DoubleArray) -> DoubleArray:
    """Krippendorff's alpha for ordinal data of coincidence matrices (..., STEPS, STEPS); NaN where nothing differs.

    1 - (n - 1) sum_ck o_ck d_ck / sum_ck n_c n_k d_ck, with d_ck = (sum_{g=c..k} n_g - (n_c + n_k) / 2)^2: the squared
    difference of the mean ranks of c and k. 1 is perfect, 0 is chance.
    Paper: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", sec. D and E; Hayes, Krippendorff 2007,
    Communication Methods and Measures 1(1), 77-89. Differs from the paper: nothing.
    """
    n = matrix.sum(axis=-1)
    ranks = n.cumsum(axis=-1) - n / 2
    distances = (ranks[..., :, None] - ranks[..., None, :]) ** 2
    observed = (matrix * distances).sum(axis=(-2, -1))
    expected = (n[..., :, None] * n[..., None, :] * distances).sum(axis=(-2, -1))
    share = np.divide(observed, expected, out=np.full(observed.shape, np.nan), where=expected > 0)
    return 1 - (n.sum(axis=-1) - 1) * share


def agreement(ratings: DoubleArray, pictures: IntArray, strata: IntArray, streams: Streams) -> Quantity:
    """Alpha of (observers, units) ratings with an interval from resampled pictures, errors and right answers apart.

    `pictures` (units,) says which picture a unit is of, `strata` which kind each picture is. `n` counts pictures.
    """
    units = coincidences(ratings)
    repeated = units.sum(axis=(1, 2)) > 0
    if repeated.sum() < 2:
        return NotRun(f"{'no map was' if not repeated.any() else 'only one map was'} rated twice", "too_few_images")
    rated_pictures = np.unique(pictures[repeated])
    by_picture = np.stack([units[pictures == picture].sum(axis=0) for picture in rated_pictures])
    value = float(alpha(by_picture.sum(axis=0)))
    if np.isnan(value):
        return NotRun("all these ratings are the same, so that agreement beyond chance is not defined", "undefined")

    def statistic(counts: npt.NDArray[np.float32]) -> dict[str, DoubleArray]:
        return {"alpha": alpha(np.tensordot(counts.T.astype(np.float64), by_picture, axes=1))}

    rng = streams.rng("rating", "agreement")
    samples = resample(statistic, strata[rated_pictures], rng, resamples=RESAMPLES)["alpha"]
    return estimate(value, samples, len(rated_pictures), support=len(rated_pictures), note=f"{repeated.sum()} maps")
