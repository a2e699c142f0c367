"""What needs no resampling: Wilson's interval of a proportion, Newcombe's of a difference.

Where images come in groups, the proportion's interval is Wilson's on the effective number of images.
"""

from __future__ import annotations

from math import hypot, sqrt

import numpy as np

from fruitaudit.records.data import BoolArray, IntArray
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.statistics.groups import Z, design_effect, few_groups, few_groups_note


def ends_of_wilson(share: float, n: float) -> tuple[float, float]:
    """Ends of Wilson's 95 % interval of a share of n images; n need not be whole.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96.
    Paper: Wilson 1927, J. Am. Stat. Assoc. 22; Brown, Cai, DasGupta 2001, Stat. Sci. 16(2), eq. 4.
    Differs from the paper: nothing (no continuity correction).
    """
    centre = share + Z * Z / (2 * n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    low = 0.0 if share <= 0 else (centre - half) / scale
    high = 1.0 if share >= 1 else (centre + half) / scale
    return low, high


def wilson(successes: int, n: int, *, note: str = "") -> Estimate:
    """The proportion successes / n, 0..1, of independent images, with Wilson's interval.

    Raises ValueError for n < 1.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} of {n} is no proportion")
    low, high = ends_of_wilson(successes / n, n)
    return Estimate(successes / n, n, low, high, successes=successes, interval="Wilson", note=note)


def proportion(hits: BoolArray, groups: IntArray | None = None, *, otherwise: str = "there are no images") -> Quantity:
    """The share of the images (N,) that are hits, or NotRun with the reason `otherwise` where there are none."""
    return share_of(hits, groups) if len(hits) else NotRun(otherwise, "no_images")


def share_of(hits: BoolArray, groups: IntArray | None = None) -> Estimate:
    """The share of the images (N,), N >= 1, that are hits, with its interval.

    With `groups` (N,) it is Wilson's on the effective number of images (`statistics.groups`); under five groups there
    is none. Groups of one image each give Wilson's own.
    """
    n, successes = len(hits), int(hits.sum())
    if groups is None:
        return wilson(successes, n)
    n_groups = len(np.unique(groups))
    if few := few_groups(n_groups):
        return Estimate(successes / n, n, successes=successes, note=few_groups_note(few), n_groups=n_groups,
                        no_interval=few)  # fmt: skip
    effect = design_effect(hits, groups)
    share = successes / n
    low, high = ends_of_wilson(share, effect.n_low)[0], ends_of_wilson(share, effect.n_high)[1]
    name = "Wilson" if n_groups == n else "Wilson on the effective number of images"
    return Estimate(share, n, low, high, successes=successes, interval=name, n_groups=n_groups,
                    n_effective=effect.n_effective, design_effect=n / effect.n_effective)  # fmt: skip


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b of two independent figures, such as accuracy in the lab and in the shop; `n` counts the images of both.

    With d = a - b: d - sqrt((a - l_a)^2 + (u_b - b)^2) to d + sqrt((u_a - a)^2 + (b - l_b)^2).
    Paper: Newcombe 1998, Stat. Med. 17, 873-890, method 10, for proportions with Wilson intervals.
    Differs from the paper: takes any interval (l, u); for others than proportions this is Zou and Donner 2008,
    Stat. Med. 27, 1693-1702, eq. 7-8 ("MOVER").
    """
    value, n = a.value - b.value, a.n + b.n
    if a.low is None or a.high is None or b.low is None or b.high is None:
        missing = a.no_interval or b.no_interval
        return Estimate(value, n, note="no interval: one of the two figures has none", no_interval=missing)
    low = value - hypot(a.value - a.low, b.high - b.value)
    high = value + hypot(a.high - a.value, b.value - b.low)
    proportions = a.successes is not None and b.successes is not None
    return Estimate(value, n, low, high, interval="Newcombe" if proportions else "MOVER of the two intervals")
