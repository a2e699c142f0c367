"""What needs no resampling: Wilson's interval of a proportion, Newcombe's of a difference."""

from __future__ import annotations

from math import hypot, sqrt
from statistics import NormalDist

from fruitaudit.records.states import Estimate, NotRun, Quantity

Z = NormalDist().inv_cdf(0.975)


def wilson(successes: int, n: int, *, note: str = "") -> Estimate:
    """The proportion successes / n, 0..1, with the interval of all true shares that a score test would not reject.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96. Raises ValueError for n < 1.
    Paper: Wilson 1927, J. Am. Stat. Assoc. 22; Brown, Cai, DasGupta 2001, Stat. Sci. 16(2), eq. 4.
    Differs from the paper: nothing (no continuity correction).
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} of {n} is no proportion")
    share = successes / n
    centre = share + Z * Z / (2 * n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return Estimate(share, n, low, high, successes=successes, interval="Wilson", note=note)


def proportion(successes: int, n: int, *, otherwise: str) -> Quantity:
    """`wilson`, or NotRun with the reason `otherwise` where there is nothing to divide by."""
    return wilson(successes, n) if n else NotRun(otherwise)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b of two independent figures, such as accuracy in the lab and in the shop; `n` counts the images of both.

    With d = a - b: d - sqrt((a - l_a)^2 + (u_b - b)^2) to d + sqrt((u_a - a)^2 + (b - l_b)^2).
    Paper: Newcombe 1998, Stat. Med. 17, 873-890, method 10, for proportions with Wilson intervals.
    Differs from the paper: takes any interval (l, u); for others than proportions this is Zou and Donner 2008,
    Stat. Med. 27, 1693-1702, eq. 7-8 ("MOVER").
    """
    value, n = a.value - b.value, a.n + b.n
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value, n, note="no interval: one of the two figures has none")
    low = value - hypot(a.value - a.low, b.high - b.value)
    high = value + hypot(a.high - a.value, b.value - b.low)
    proportions = a.successes is not None and b.successes is not None
    return Estimate(value, n, low, high, interval="Newcombe" if proportions else "MOVER of the two intervals")
