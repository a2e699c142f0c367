"""Intervals of averages over images that share sources: whole sources are resampled, not renderings of one object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import DoubleArray, IntArray
from fruitaudit.records.states import Estimate
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.bootstrap import tail, unit_counts
from fruitaudit.statistics.groups import few_groups, few_groups_note, numbered

RESAMPLES = 1000
OPTIMISTIC = "every image counts as its own source, so the interval is optimistic where one object is shown many times"

SHARE, CHANGE = (0.0, 1.0), (-1.0, 1.0)
"""What is possible for a share of images, and for a difference of two."""

Range = tuple[float, float]


def weights(sources: IntArray, streams: Streams, *purpose: str) -> DoubleArray:
    """(R, N): how much each image counts in each resample of the sources; rows sum to 1."""
    units, n_units = numbered(sources)
    counts = unit_counts(n_units, streams.rng("source bootstrap", *purpose), RESAMPLES)[units].T
    return counts / counts.sum(axis=1, keepdims=True)


def mean_of(
    values: npt.NDArray[np.generic], sources: IntArray, sources_known: bool, streams: Streams, *purpose: str,
    possible: Range = CHANGE,
) -> Estimate:  # fmt: skip
    """The mean of (N,) values, with the interval that resampled sources span.

    Where every resample agrees, as when no image changes its answer, the interval is that of a proportion of which
    none of N was seen: 3 / N to either side, as far as that is `possible` (Hanley and Lippman-Hand 1983,
    JAMA 249(13), "the rule of three").
    """
    numbers = np.asarray(values, np.float64)
    spread = weights(sources, streams, *purpose) @ numbers
    return spanned(float(numbers.mean()), spread, (sources,), sources_known, possible)


def difference_of_means(
    a: npt.NDArray[np.generic], a_sources: IntArray, b: npt.NDArray[np.generic], b_sources: IntArray,
    sources_known: bool, streams: Streams, *purpose: str,
) -> Estimate:  # fmt: skip
    """mean(a) - mean(b) of shares of two independent sets of images; `n` counts the images of both.

    Where every resample of both agrees, the rule of three holds for each.
    """
    first = weights(a_sources, streams, *purpose, "a") @ np.asarray(a, np.float64)
    second = weights(b_sources, streams, *purpose, "b") @ np.asarray(b, np.float64)
    value = float(np.asarray(a, np.float64).mean() - np.asarray(b, np.float64).mean())
    return spanned(value, first - second, (a_sources, b_sources), sources_known, CHANGE)


def spanned(
    value: float, spread: DoubleArray, sources: Sequence[IntArray], sources_known: bool, possible: Range | None = None
) -> Estimate:
    """The figure with the interval of its resamples (R,), of one or two independent sets of sources.

    Where the data names the sources (`sources_known`) the percentiles are widened as Student's t asks, and there is no
    interval under five of them. `possible`: the rule of three holds where every resample agrees.
    """
    n, counts = sum(map(len, sources)), [len(np.unique(numbers)) for numbers in sources]
    n_groups = sum(counts) if sources_known else None
    few = few_groups(min(counts)) if sources_known else None
    if few:
        return Estimate(value, n, note=few_groups_note(few), n_groups=n_groups, no_interval=few)
    share = tail(min(counts)) if sources_known else 0.025
    low, high = np.quantile(spread, [share, 1 - share]).tolist()
    of = f"{counts[0]} sources" if len(counts) == 1 else "sources"
    name, note = f"bootstrap of {of}, {RESAMPLES} resamples", "" if sources_known else OPTIMISTIC
    if possible is not None and high - low < 1e-12:
        reach, name = sum(3 / count for count in counts), "rule of three"
        low, high = max(possible[0], value - reach), min(possible[1], value + reach)
    return Estimate(value, n, min(low, value), max(high, value), interval=name, note=note, n_groups=n_groups)
