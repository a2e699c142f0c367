"""Differences of accuracy as the report prints them: in points, signed, with their interval."""

from __future__ import annotations

from fruitaudit.records.states import Estimate, Quantity
from fruitaudit.report.words import NBSP


def tenths(value: float, *, signed: bool = False) -> str:
    """0.384 -> `38.4`, signed `+38.4`; what rounds to zero has no sign."""
    text = f"{100 * value:{'+' if signed else ''}.1f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "\u2212")


def points(value: float, *, signed: bool = False) -> str:
    """0.384 -> `38.4 points`."""
    return f"{tenths(value, signed=signed)}{NBSP}points"


def between(estimate: Estimate, *, signed: bool = False) -> str:
    """`36.6 to 40.2`; empty where no interval is defined."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{tenths(estimate.low, signed=signed)} to {tenths(estimate.high, signed=signed)}"


def lost_or_won(change: Quantity) -> str:
    """`−88.1 points (95 % interval −91.3 to −84.7; 320 images)`, or why there is no number."""
    if not isinstance(change, Estimate):
        return f"not computed: {change.reason}"
    inside = f"{change.n:,} images"
    if spread := between(change, signed=True):
        inside = f"95{NBSP}% interval {spread}; {inside}"
    return f"{points(change.value, signed=True)} ({inside})"


def within_unit(estimate: Estimate) -> tuple[float, float] | None:
    """The interval of an accuracy, cut to 0..1: an interval to either side of 100 % says nothing above it."""
    if estimate.low is None or estimate.high is None:
        return None
    return max(0.0, estimate.low), min(1.0, estimate.high)


def in_cell(change: Estimate) -> str:
    """`−88.1 (−91.3 to −84.7)`, for a cell."""
    spread = between(change, signed=True)
    return f"{tenths(change.value, signed=True)}{f' ({spread})' if spread else ''}"


def at_share(value: float) -> str:
    """Where a share stands on an axis from 0 to 1, as SVG writes it: `38.40%`."""
    return f"{100 * value:.2f}%"
