"""The mean of one number an image, with an interval that owns up to how few images there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.runtime.streams import Streams

Scores = npt.NDArray[np.float64]

RESAMPLES = 4000
FEWEST = 6
"""Images that resampling asks for. It never leaves the range of the images, and of five symmetric ones the whole range
misses the true mean once in 16 times."""
CORRELATION, SHARE = (-1.0, 1.0), (0.0, 1.0)
"""What a score can be at least and at most."""
LEAST_SHARE = 0.5
"""A mean over fewer of the images than this is not given: those that are left are no sample of all."""


def mean_over_images(
    scores: Scores, streams: Streams, *, note: str = "", within: tuple[float, float] = (-np.inf, np.inf)
) -> Quantity:
    """Mean of (N,) scores with its expanded percentile interval; NaN scores are left out and counted in the note.

    The percentiles alpha' = Phi(-sqrt(n / (n - 1)) t_{0.975, n-1}) instead of 2.5 %, so that 8 images give an interval
    as wide as the t distribution asks for.
    Paper: Hesterberg 2015, Am. Stat. 69(4), 371-386, arXiv:1411.5279, sec. 3.3. Differs from the paper: of fewer than
    six images the interval is Student's, cut to `within`, the least and largest value that a score can have.
    Returns NotRun where fewer than half of the scores are defined. No interval, and a note, where all are equal.
    """
    from scipy.stats import norm, t

    defined = scores[np.isfinite(scores)]
    missing, n = len(scores) - len(defined), len(defined)
    if n < max(1.0, LEAST_SHARE * len(scores)):
        return NotRun(f"defined on only {n} of {len(scores)} images: the maps of the others are empty, constant or "
                      "not finite")  # fmt: skip
    notes = [text for text in (note, f"undefined on {missing} of {len(scores)} images" if missing else "") if text]
    value = float(defined.mean())
    if n < 2 or np.ptp(defined) <= 1e-12:
        why = "one image has no spread" if n < 2 else "the same on every image"
        return Estimate(value, n, note="; ".join([*notes, f"no interval: {why}"]))
    quantile = t.ppf(0.975, n - 1)
    if n < FEWEST:
        half = float(quantile * defined.std(ddof=1) / np.sqrt(n))
        low, high = max(value - half, within[0]), min(value + half, within[1])
        return Estimate(value, n, low, high, interval="Student's t over images", note="; ".join(notes))
    share = norm.cdf(-np.sqrt(n / (n - 1)) * quantile)
    drawn = streams.rng("trust", "bootstrap", str(n)).integers(0, n, (RESAMPLES, n))
    low, high = np.quantile(defined[drawn].mean(axis=1), [share, 1 - share]).tolist()
    name = f"bootstrap over images, {RESAMPLES} resamples, percentiles widened for few images"
    return Estimate(value, n, min(low, value), max(high, value), interval=name, note="; ".join(notes))
