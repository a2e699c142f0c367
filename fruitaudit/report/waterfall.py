"""The lab-to-field gap as a waterfall: from the lab's accuracy, step by step, down to the field's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.diagnosis import Decomposition, GapShare
from fruitaudit.records.numbers import tenths
from fruitaudit.records.states import Estimate
from fruitaudit.report.points import between, points, within_unit
from fruitaudit.report.words import listing, percent

BarKind = Literal["lab", "cost", "loss", "open", "sum", "rest", "field"]
ROW = 50
"""Height of a step in pixels: a line of words and a bar."""


@dataclass(frozen=True)
class WaterfallBar:
    """A bar from `start` to `end`, 0..1; `low` and `high` are the interval of its end.

    `kind` is "lab", "sum" or "field" for an accuracy, "cost" for what experimenting costs by itself, "loss" for a
    cause that counts, "open" for one that does not, "rest" for what stays unexplained.
    """

    kind: BarKind
    label: str
    start: float
    end: float
    low: float | None
    high: float | None
    amount: str
    spread: str
    why: str = ""

    @property
    def left(self) -> float:
        """Where the bar begins, whichever way the step goes."""
        return min(self.start, self.end)


@dataclass(frozen=True)
class Waterfall:
    """All steps, and the ends of the axis: 0 to 1 unless a step leaves that range."""

    steps: tuple[WaterfallBar, ...]
    left: float
    right: float
    title: str

    def at(self, value: float) -> str:
        """Where a value stands on the axis, in percent of its width."""
        return f"{100 * (value - self.left) / (self.right - self.left):.2f}%"

    def wide(self, step: WaterfallBar) -> str:
        """Width of a step's bar, in percent of the axis."""
        return f"{100 * abs(step.end - step.start) / (self.right - self.left):.2f}%"

    @property
    def height(self) -> int:
        """Pixels, with the axis below."""
        return ROW * len(self.steps) + 22


def waterfall(gap: Decomposition) -> Waterfall:
    """lab - recomposition - shares = transformed; transformed - unexplained = field: the bars add up."""
    steps = tuple(_steps(gap))
    ends = [v for step in steps for v in (step.start, step.end)]
    step_texts = listing([f"{step.label} {step.amount}" for step in steps], len(steps))
    title = f"Accuracy from {gap.lab_split} to {gap.field_split}, step by step: {step_texts}"
    return Waterfall(steps, min(0.0, *ends), max(1.0, *ends), title)


def in_order(gap: Decomposition) -> list[GapShare]:
    """Shares that count first, then the others; the largest first in each."""
    return sorted(gap.shares, key=lambda share: (not share.counts, -share.points.value))


def _steps(gap: Decomposition) -> Iterator[WaterfallBar]:
    yield _total("lab", f"Accuracy on {gap.lab_split}", gap.lab)
    at = gap.lab.value
    if abs(gap.recomposition.value) >= 0.0005:
        step = _loss("cost", "Cutting out and putting back", at, gap.recomposition)
        yield step
        at = step.end
    for share in in_order(gap):
        step = _loss("loss" if share.counts else "open", share.title, at, share.points, share.why)
        yield step
        at = step.end
    yield _total("sum", f"All these changes made in {gap.lab_split}", gap.transformed)
    yield _loss("rest", "Unexplained", gap.transformed.value, gap.unexplained)
    yield _total("field", f"Accuracy on {gap.field_split}", gap.field)


def _total(kind: BarKind, label: str, accuracy: Estimate) -> WaterfallBar:
    low, high = within_unit(accuracy) or (None, None)
    spread = "" if low is None or high is None else f"{tenths(low)} to {tenths(high)}"
    return WaterfallBar(kind, label, 0.0, accuracy.value, low, high, percent(accuracy.value), spread)


def _loss(kind: BarKind, label: str, start: float, lost: Estimate, why: str = "") -> WaterfallBar:
    low = None if lost.high is None else start - lost.high
    high = None if lost.low is None else start - lost.low
    amount = points(0.0 - lost.value, signed=True)
    negative = Estimate(-lost.value, lost.n, None if lost.high is None else -lost.high,
                        None if lost.low is None else -lost.low)  # fmt: skip
    return WaterfallBar(kind, label, start, start - lost.value, low, high, amount, between(negative, signed=True), why)
