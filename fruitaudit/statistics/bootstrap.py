"""The bootstrap, by class and by group: each class keeps its weight, and images of one group stay together.

Paper: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 8 and 13 (percentile interval).
A resample is a column of `counts` (N, B): how often each image is in it. Statistics are sums weighted by counts, which
makes all resamples one sparse product.
Where images come in groups, groups are drawn within the class that most of their images have. Counts are then scaled
so that each class weighs what it weighs in the data; a resample without a class that there is has NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.groups import few_groups, few_groups_note, numbered

Array = npt.NDArray[np.floating[Any]]

Values = Mapping[str, Array]
"""Figures by name."""

Statistic = Callable[[Array], Values]
"""counts (N, B) -> figures, each (B,) or (K, B)."""

ROUGH_BELOW = 10
"""Fewer images than this of a class: resampling them understates what other images would show."""

_BLOCK = 500_000  # counts held at once, 2 MB: as much as stays in a processor's cache


def resamples_for(n_images: int, n_classes: int) -> int:
    """1000 resamples, down to 200 where images times classes are many: there intervals are narrow and time is short."""
    return int(np.clip(50_000_000 // max(1, n_images * n_classes), 200, 1000)) // 100 * 100


def resample(
    statistic: Statistic, labels: IntArray, rng: np.random.Generator, *, resamples: int, groups: IntArray | None = None
) -> dict[str, Array]:
    """The statistic of every resample, by name: (R,) or (K, R)."""
    blocks = [statistic(counts) for counts in draw(labels, rng, resamples=resamples, groups=groups)]
    return {name: np.concatenate([block[name] for block in blocks], axis=-1) for name in blocks[0]}


def draw(
    labels: IntArray, rng: np.random.Generator, *, resamples: int, groups: IntArray | None = None
) -> Iterator[Array]:
    """Counts (N, B) of `resamples` stratified resamples, in blocks that bound the memory.

    Without `groups` (N,), or where each group is one image, they are whole numbers in float32; else float64.
    """
    units, n_units = (np.arange(len(labels)), len(labels)) if groups is None else numbered(groups)
    if n_units == len(labels):
        yield from _unit_blocks(labels, rng, resamples, len(labels))
        return
    of_unit = _most_frequent(labels, units, n_units)
    for counts in _unit_blocks(of_unit, rng, resamples, len(labels)):
        yield _weighted_as(labels, counts[units].astype(np.float64))


def _unit_blocks(strata: IntArray, rng: np.random.Generator, resamples: int, n_images: int) -> Iterator[FloatArray]:
    """Counts (U, B): units drawn with replacement within their strata (U,)."""
    members = [np.flatnonzero(strata == c) for c in np.unique(strata)]
    step = max(1, _BLOCK // max(1, n_images))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        counts = np.empty((len(strata), size), dtype=np.float32)
        for rows in members:
            cells = rng.integers(0, len(rows), size=(len(rows), size)) * size + np.arange(size)
            counts[rows] = np.bincount(cells.ravel(), minlength=len(rows) * size).reshape(len(rows), size)
        yield counts


def unit_counts(n_units: int, rng: np.random.Generator, resamples: int) -> npt.NDArray[np.float64]:
    """Counts (U, R) of units, all of one kind, in float64."""
    blocks = list(_unit_blocks(np.zeros(n_units, np.int64), rng, resamples, n_units))
    return np.concatenate(blocks, axis=1).astype(np.float64)


def _most_frequent(labels: IntArray, units: IntArray, n_units: int) -> IntArray:
    """(U,) the label that most images of each unit have; of equally many the first."""
    classes, place = np.unique(labels, return_inverse=True)
    table = np.zeros((n_units, len(classes)), np.int64)
    np.add.at(table, (units, place), 1)
    return classes[table.argmax(axis=1)]


def _weighted_as(labels: IntArray, counts: Array) -> Array:
    """Counts (N, B) scaled so that each class has its number of images; NaN throughout where one was not drawn."""
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        total = counts[rows].sum(axis=0)
        counts[rows] *= np.divide(len(rows), total, out=np.full(len(total), np.nan), where=total > 0)
    counts[:, np.isnan(counts).any(axis=0)] = np.nan
    return counts


def estimate(
    value: float, samples: Array, n: int, *, support: int, mirrored: bool = False, note: str = "",
    n_groups: int | None = None,
) -> Estimate:  # fmt: skip
    """The figure with the interval that its resamples (R,) span; none, with a note, where they say nothing.

    `support`: the images, or groups, that carry the figure; for a class its positives or negatives, whichever are
    fewer. Where groups were resampled, `n_groups` counts them: there the percentiles are widened as Student's t asks.
    `mirrored` flips the interval of a figure in 0..1 at its value (Davison, Hinkley 1997, "Bootstrap Methods and their
    Application", eq. 5.6): for figures that repeated images inflate. The interval always holds the value.
    """
    defined = samples[np.isfinite(samples)]
    notes = [note] if note else []
    few = None if n_groups is None else few_groups(min(n_groups, support))
    if few:
        return Estimate(value, n, note="; ".join([*notes, few_groups_note(few)]), n_groups=n_groups, no_interval=few)
    reason = _why_no_interval(defined, len(samples), support)
    if reason:
        return Estimate(value, n, note="; ".join([*notes, f"no interval: {reason}"]), n_groups=n_groups)
    if len(defined) < len(samples):
        notes.append(f"undefined in {len(samples) - len(defined)} resamples, which are left out")
    if support < ROUGH_BELOW:
        what = "images" if n_groups is None else "groups"
        notes.append(f"rough: resampling only {support} {what} understates the doubt")
    share = 0.025 if n_groups is None else tail(n_groups)
    low, high = np.quantile(defined, [share, 1 - share]).tolist()
    if mirrored:
        low, high = max(0.0, 2 * value - high), min(1.0, 2 * value - low)
    of = "" if n_groups is None else f" of {n_groups} groups"
    name = f"stratified bootstrap{of}, {len(samples)} resamples" + (", mirrored" if mirrored else "")
    return Estimate(value, n, min(low, value), max(high, value), interval=name, note="; ".join(notes),
                    n_groups=n_groups)  # fmt: skip


def tail(n: int) -> float:
    """Share of the resamples beyond each end of the interval: Phi(-sqrt(n / (n - 1)) t_{0.975, n-1}), n >= 2.

    Percentiles of means of n units are as narrow as the normal limit; these are as wide as Student's t asks for.
    Paper: Hesterberg 2015, Am. Stat. 69(4), 371-386, arXiv:1411.5279, sec. 3.3.
    """
    from scipy.stats import norm, t

    return float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)))


def _why_no_interval(defined: Array, resamples: int, support: int) -> str:
    if support < 2:
        return "it rests on a single image, which resampling cannot vary"
    if len(defined) < 0.95 * resamples:
        return f"the figure is undefined in {resamples - len(defined)} of {resamples} resamples"
    if np.ptp(defined) <= 1e-12:
        return "every resample gives the same figure, which says nothing about other images"
    return ""
