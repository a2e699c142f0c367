"""A number that was estimated, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NotRun:
    """What could not be computed. Its own state: never a pass, never zero."""

    reason: str
    state: Literal["not_run"] = "not_run"


@dataclass(frozen=True)
class Estimate:
    """A number with its denominator and its 95 % interval.

    `low` and `high` are None where no interval is defined (say why in `note`). `n` is the denominator: the number of
    images the value was computed from. `successes` is set for proportions, so that `successes / n == value`.
    `interval` names the construction, e.g. "Wilson" or "stratified bootstrap, 1000 resamples".
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None
    successes: int | None = None
    interval: str = "none"
    note: str = ""
    state: Literal["estimate"] = "estimate"


Quantity = Estimate | NotRun
