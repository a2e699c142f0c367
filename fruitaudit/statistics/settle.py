"""How many images would settle a question of the kind "is it at least 90 %?"."""

from __future__ import annotations

from math import floor

from fruitaudit.records.states import Estimate
from fruitaudit.statistics.groups import Z


def is_settled(estimate: Estimate, threshold: float) -> bool:
    """Whether the interval lies wholly on one side of the threshold; False where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return False
    return not estimate.low <= threshold <= estimate.high


def images_needed(estimate: Estimate, threshold: float) -> int | None:
    """Images in all until the 95 % interval leaves the threshold out, if the value stays as it is.

    They are counted as `estimate.n` is. A Wilson interval holds t while |p - t| <= z sqrt(t (1 - t) / n); any other,
    that of groups too, is taken to narrow with 1 / sqrt(n). None: never, because the value is the threshold, or there
    is nothing to extrapolate from.
    """
    distance = abs(estimate.value - threshold)
    if estimate.low is None or estimate.high is None or distance == 0:
        return None
    if estimate.interval == "Wilson":
        bounded = min(max(threshold, 0.0), 1.0)
        return max(1, floor(Z * Z * bounded * (1 - bounded) / distance**2) + 1)
    arm = estimate.value - estimate.low if threshold < estimate.value else estimate.high - estimate.value
    return max(1, floor(estimate.n * (arm / distance) ** 2) + 1)
