"""What is asked of a figure or claimed of the field: gates and claims, as they were read from the config."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.trust import Readability

Operator = Literal[">=", ">", "<=", "<", "=="]
OPERATORS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    ">=": (operator.ge, "at least"),
    ">": (operator.gt, "above"),
    "<=": (operator.le, "at most"),
    "<": (operator.lt, "below"),
}
"""How a figure is compared with a threshold, and the words for it."""
READINGS: tuple[Readability, ...] = ("do_not_read", "with_care", "read")
"""Verdicts on an explanation, from the worst to the best."""


@dataclass(frozen=True)
class Every:
    """`[*]`: each class, or each value of a column, that has images."""


@dataclass(frozen=True)
class Slice:
    """`[column=value]`: the images with this value in a column of the split's manifest."""

    column: str
    value: str | Every


@dataclass(frozen=True)
class Baseline:
    """`baseline - 0.01`: the same figure of another model, and how far from it."""

    sign: Literal["+", "-", "±"]
    margin: float


@dataclass(frozen=True)
class FigureGate:
    """`metric[split][class][column=value] op bound`. `text` is the gate as written.

    `class_name` is None for a figure of the whole split.
    """

    text: str
    metric: str
    split: str
    class_name: str | Every | None
    slice: Slice | None
    op: Operator
    bound: float | Baseline

    @property
    def threshold(self) -> float:
        """The number to compare with. Raises TypeError where the gate names a baseline instead."""
        if isinstance(self.bound, Baseline):
            raise TypeError(f"gate {self.text!r} has no threshold of its own")
        return self.bound

    def holds(self, value: float) -> bool:
        """Whether the value is on the right side of the threshold; never for NaN."""
        return OPERATORS[self.op][0](value, self.threshold)

    def slack(self, value: float) -> float:
        """How far the value is on the right side; the least is the worst offender."""
        return value - self.threshold if self.op in (">=", ">") else self.threshold - value


@dataclass(frozen=True)
class ExplanationGate:
    """`verdict[method] op reading` or `faithfulness[method] op number`: the least gain over the controls."""

    text: str
    method: str
    op: Operator
    least: Readability | float


Gate = FigureGate | ExplanationGate


@dataclass(frozen=True)
class CauseClaim:
    """`cause: name`: what explains the loss between lab and field."""

    text: str
    cause: str


Claim = FigureGate | CauseClaim
