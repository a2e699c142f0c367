"""How findings write numbers."""

from __future__ import annotations

from collections.abc import Sequence

from fruitaudit.records.states import Estimate


def first_ten(lines: Sequence[str]) -> tuple[str, ...]:
    """At most ten lines, and how many more there are."""
    return (*lines[:10], *([f"and {len(lines) - 10} more"] if len(lines) > 10 else []))


def width_of(estimate: Estimate) -> float:
    """Of the interval; 0 where there is none."""
    return 0.0 if estimate.low is None or estimate.high is None else estimate.high - estimate.low
