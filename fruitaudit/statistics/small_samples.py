"""The mean of one number per image, with an interval that owns up to how few images, or groups, there are."""

from __future__ import annotations

import numpy as np

from fruitaudit.records.data import DoubleArray, IntArray
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.bootstrap import tail, unit_counts
from fruitaudit.statistics.groups import few_groups, few_groups_note, numbered

RESAMPLES = 4000
FEWEST = 6
"""Images that resampling asks for. It never leaves the range of the images, and of five symmetric ones the whole range
misses the true mean once in 16 times."""
CORRELATION, SHARE = (-1.0, 1.0), (0.0, 1.0)
"""What a score can be at least and at most."""
LEAST_SHARE = 0.5
"""A mean over fewer of the images than this is not given: those that are left are no sample of all."""


def mean_over_images(
    scores: DoubleArray, streams: Streams, *, note: str = "", within: tuple[float, float] = (-np.inf, np.inf),
    groups: IntArray | None = None,
) -> Quantity:  # fmt: skip
    """Mean of (N,) scores with its expanded percentile interval; NaN scores are left out and counted in the note.

    With `groups` (N,) whole groups are resampled, and there is no interval under five. The percentiles are those of
    `bootstrap.tail`, so that 8 images give an interval as wide as the t distribution asks for.
    Paper: Hesterberg 2015, Am. Stat. 69(4), 371-386, arXiv:1411.5279, sec. 3.3. Differs from the paper: of fewer than
    six images the interval is Student's, cut to `within`, the least and largest value that a score can have.
    Returns NotRun where fewer than half of the scores are defined. No interval, and a note, where all are equal.
    """
    finite = np.isfinite(scores)
    defined = scores[finite]
    missing, n = len(scores) - len(defined), len(defined)
    if n < max(1.0, LEAST_SHARE * len(scores)):
        return NotRun(f"defined on only {n} of {len(scores)} images: the maps of the others are empty, constant or "
                      "not finite", "too_few_images")  # fmt: skip
    notes = [text for text in (note, f"undefined on {missing} of {len(scores)} images" if missing else "") if text]
    value = float(defined.mean())
    units, n_units = (np.arange(n), n) if groups is None else numbered(groups[finite])
    n_groups = None if groups is None else n_units
    few = None if n_groups is None else few_groups(n_groups)
    if few:
        return Estimate(value, n, note="; ".join([*notes, few_groups_note(few)]), n_groups=n_groups, no_interval=few)
    if n < 2 or np.ptp(defined) <= 1e-12:
        why = "one image has no spread" if n < 2 else "the same on every image"
        return Estimate(value, n, note="; ".join([*notes, f"no interval: {why}"]), n_groups=n_groups)
    kind = "images" if n_groups is None else "groups"
    what = kind if n_groups is None else f"{n_groups} groups"
    if n_units < FEWEST:
        low, high = _of_student(defined, units, n_units, within)
        return Estimate(value, n, low, high, interval=f"Student's t over {what}", note="; ".join(notes),
                        n_groups=n_groups)  # fmt: skip
    counts = unit_counts(n_units, streams.rng("trust", "bootstrap", str(n_units)), RESAMPLES)[units]
    share = tail(n_units)
    low, high = np.quantile(defined @ counts / counts.sum(axis=0), [share, 1 - share]).tolist()
    name = f"bootstrap over {what}, {RESAMPLES} resamples, percentiles widened for few {kind}"
    return Estimate(value, n, min(low, value), max(high, value), interval=name, note="; ".join(notes),
                    n_groups=n_groups)  # fmt: skip


def _of_student(scores: DoubleArray, units: IntArray, n_units: int, within: tuple[float, float]) -> tuple[float, float]:
    """Ends by Student's t, of the ratio estimator over units: images, or groups of them."""
    from scipy.stats import t

    value = scores.mean()
    off = np.bincount(units, weights=scores - value, minlength=n_units)
    deviation = np.sqrt(n_units / (n_units - 1) * (off**2).sum()) / len(scores)
    half = float(t.ppf(0.975, n_units - 1) * deviation)
    return max(float(value) - half, within[0]), min(float(value) + half, within[1])
