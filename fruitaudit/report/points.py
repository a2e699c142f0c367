"""Differences of accuracy as the report prints them: in points, signed, with their interval."""

from __future__ import annotations

from fruitaudit.records.numbers import tenths
from fruitaudit.records.states import Estimate, Quantity
from fruitaudit.report.words import NBSP, tight


def points(value: float, *, signed: bool = False) -> str:
    """0.384 -> `38.4 points`."""
    return f"{tenths(value, signed=signed)}{NBSP}points"


def between(estimate: Estimate, *, signed: bool = False) -> str:
    """`36.6 to 40.2`; empty where no interval is defined."""
    return estimate.points_interval_text(signed=signed)


def lost_or_won(change: Quantity) -> str:
    """`−88.1 points (95 % interval −91.3 to −84.7; 320 images)`, or why there is no number."""
    text = change.points_text() if isinstance(change, Estimate) else change.text()
    return tight(text).replace(" points", f"{NBSP}points")


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
