"""The stratified bootstrap: every class is resampled within itself, so that its number of images stays.

Paper: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 8 and 13 (percentile interval).
A resample is a column of `counts` (N, B): how often each image is in it. Statistics are sums weighted by counts, which
makes all resamples one sparse product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import Estimate

Array = npt.NDArray[np.floating[Any]]

Values = Mapping[str, Array]
"""Figures by name."""

Statistic = Callable[[FloatArray], Values]
"""counts (N, B) -> figures, each (B,) or (K, B)."""

ROUGH_BELOW = 10
"""Fewer images than this of a class: resampling them understates what other images would show."""

_BLOCK = 500_000  # counts held at once, 2 MB: as much as stays in a processor's cache


def resamples_for(n_images: int, n_classes: int) -> int:
    """1000 resamples, down to 200 where images times classes are many: there intervals are narrow and time is short."""
    return int(np.clip(50_000_000 // max(1, n_images * n_classes), 200, 1000)) // 100 * 100


def resample(statistic: Statistic, labels: IntArray, rng: np.random.Generator, *, resamples: int) -> dict[str, Array]:
    """The statistic of every resample, by name: (R,) or (K, R)."""
    blocks = [statistic(counts) for counts in draw(labels, rng, resamples=resamples)]
    return {name: np.concatenate([block[name] for block in blocks], axis=-1) for name in blocks[0]}


def draw(labels: IntArray, rng: np.random.Generator, *, resamples: int) -> Iterator[FloatArray]:
    """Counts (N, B) of `resamples` stratified resamples, in blocks that bound the memory."""
    strata = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    step = max(1, _BLOCK // max(1, len(labels)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        counts = np.empty((len(labels), size), dtype=np.float32)
        for rows in strata:
            cells = rng.integers(0, len(rows), size=(len(rows), size)) * size + np.arange(size)
            counts[rows] = np.bincount(cells.ravel(), minlength=len(rows) * size).reshape(len(rows), size)
        yield counts


def estimate(value: float, samples: Array, n: int, *, support: int, mirrored: bool = False, note: str = "") -> Estimate:
    """The figure with the interval that its resamples (R,) span; none, with a note, where they say nothing.

    `support`: the images that carry the figure; for a class its positives or negatives, whichever are fewer.
    `mirrored` flips the interval of a figure in 0..1 at its value (Davison, Hinkley 1997, "Bootstrap Methods and their
    Application", eq. 5.6): for figures that repeated images inflate. The interval always holds the value.
    """
    defined = samples[np.isfinite(samples)]
    notes = [note] if note else []
    reason = _why_no_interval(defined, len(samples), support)
    if reason:
        return Estimate(value, n, note="; ".join([*notes, f"no interval: {reason}"]))
    if len(defined) < len(samples):
        notes.append(f"undefined in {len(samples) - len(defined)} resamples, which are left out")
    if support < ROUGH_BELOW:
        notes.append(f"rough: resampling only {support} images understates the doubt")
    low, high = np.quantile(defined, [0.025, 0.975]).tolist()
    if mirrored:
        low, high = max(0.0, 2 * value - high), min(1.0, 2 * value - low)
    name = f"stratified bootstrap, {len(samples)} resamples" + (", mirrored" if mirrored else "")
    return Estimate(value, n, min(low, value), max(high, value), interval=name, note="; ".join(notes))


def _why_no_interval(defined: Array, resamples: int, support: int) -> str:
    if support < 2:
        return "it rests on a single image, which resampling cannot vary"
    if len(defined) < 0.95 * resamples:
        return f"the figure is undefined in {resamples - len(defined)} of {resamples} resamples"
    if np.ptp(defined) <= 1e-12:
        return "every resample gives the same figure, which says nothing about other images"
    return ""
