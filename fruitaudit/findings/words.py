"""How findings write numbers."""

from __future__ import annotations

from collections.abc import Sequence

from fruitaudit.records.states import Estimate, Quantity


def share(quantity: Quantity) -> str:
    """A proportion as `15.3 % (49 of 320; 95 % interval 11.8–19.7 %)`, or why there is none."""
    if not isinstance(quantity, Estimate):
        return f"not computed: {quantity.reason}"
    parts = [f"of {quantity.n:,}" if quantity.successes is None else f"{quantity.successes:,} of {quantity.n:,}"]
    if quantity.low is not None and quantity.high is not None:
        parts.append(f"95 % interval {100 * quantity.low:.1f}–{100 * quantity.high:.1f} %")
    return f"{100 * quantity.value:.1f} % ({'; '.join(parts)})"


def first_ten(lines: Sequence[str]) -> tuple[str, ...]:
    """At most ten lines, and how many more there are."""
    return (*lines[:10], *([f"and {len(lines) - 10} more"] if len(lines) > 10 else []))


def width_of(estimate: Estimate) -> float:
    """Of the interval; 0 where there is none."""
    return 0.0 if estimate.low is None or estimate.high is None else estimate.high - estimate.low
