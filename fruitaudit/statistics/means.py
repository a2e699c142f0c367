"""Intervals of averages over images that share sources: whole sources are resampled, not renderings of one object."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import IntArray
from fruitaudit.records.states import Estimate
from fruitaudit.runtime.streams import Streams

RESAMPLES = 1000
OPTIMISTIC = "every image counts as its own source, so the interval is optimistic where one object is shown many times"

SHARE, CHANGE = (0.0, 1.0), (-1.0, 1.0)
"""What is possible for a share of images, and for a difference of two."""

Values = npt.NDArray[np.float64]
Range = tuple[float, float]


def weights(sources: IntArray, streams: Streams, *purpose: str) -> Values:
    """(R, N): how much each image counts in each resample of the sources; rows sum to 1."""
    _, numbers, sizes = np.unique(sources, return_inverse=True, return_counts=True)
    n_sources = len(sizes)
    rng = streams.rng("source bootstrap", *purpose)
    drawn = rng.integers(0, n_sources, (RESAMPLES, n_sources)) + n_sources * np.arange(RESAMPLES)[:, None]
    times = np.bincount(drawn.ravel(), minlength=RESAMPLES * n_sources).reshape(RESAMPLES, n_sources)
    counts = times[:, numbers].astype(np.float64)
    return counts / counts.sum(axis=1, keepdims=True)


def mean_of(
    values: npt.NDArray[np.generic], sources: IntArray, known: bool, streams: Streams, *purpose: str,
    possible: Range = CHANGE,
) -> Estimate:  # fmt: skip
    """The mean of (N,) values, with the interval that resampled sources span.

    Where every resample agrees, as when no image changes its answer, the interval is that of a proportion of which
    none of N was seen: 3 / N to either side, as far as that is `possible` (Hanley and Lippman-Hand 1983,
    JAMA 249(13), "the rule of three").
    """
    numbers = np.asarray(values, np.float64)
    value, n = float(numbers.mean()), len(np.unique(sources))
    spread = weights(sources, streams, *purpose) @ numbers
    low, high = np.quantile(spread, [0.025, 0.975]).tolist()
    note = "" if known else OPTIMISTIC
    if high - low < 1e-12:
        low, high = _reaching(value, 3 / n, possible)
        return Estimate(value, len(numbers), low, high, interval="rule of three", note=note)
    name = f"bootstrap of {n} sources, {RESAMPLES} resamples"
    return Estimate(value, len(numbers), min(low, value), max(high, value), interval=name, note=note)


def difference_of_means(
    a: npt.NDArray[np.generic], a_sources: IntArray, b: npt.NDArray[np.generic], b_sources: IntArray,
    known: bool, streams: Streams, *purpose: str,
) -> Estimate:  # fmt: skip
    """mean(a) - mean(b) of shares of two independent sets of images; `n` counts the images of both.

    Where every resample of both agrees, the rule of three holds for each.
    """
    first = weights(a_sources, streams, *purpose, "a") @ np.asarray(a, np.float64)
    second = weights(b_sources, streams, *purpose, "b") @ np.asarray(b, np.float64)
    value = float(np.asarray(a, np.float64).mean() - np.asarray(b, np.float64).mean())
    low, high = np.quantile(first - second, [0.025, 0.975]).tolist()
    name, note = f"bootstrap of sources, {RESAMPLES} resamples", "" if known else OPTIMISTIC
    if high - low < 1e-12:
        name, reach = "rule of three", sum(3 / len(np.unique(s)) for s in (a_sources, b_sources))
        low, high = _reaching(value, reach, CHANGE)
    return Estimate(value, len(a) + len(b), min(low, value), max(high, value), interval=name, note=note)


def _reaching(value: float, reach: float, possible: Range) -> Range:
    return max(possible[0], value - reach), min(possible[1], value + reach)
