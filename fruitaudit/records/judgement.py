"""Sentences and verdicts made of the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.states import Quantity

GateState = Literal["pass", "fail", "not_run"]


@dataclass(frozen=True)
class GateResult:
    """One gate. `gate` is the expression as written; `sentence` says what was measured and names the worst offenders.

    `settle` says how many images in all would decide the gate if the measured value stayed as it is.
    """

    gate: str
    state: GateState
    severity: Literal["fail", "warn"]
    measured: Quantity
    sentence: str
    settle: str = ""
    n_classes: int | None = None
    """Classes with images that `[*]` stands for; None for a gate on one figure."""
    n_without_images: int | None = None
    """Classes that it leaves out, as they have no images."""


@dataclass(frozen=True)
class Verdict:
    """The whole run: "pass", "fail", "not_run" (a gate could not be computed) or "no_gates"."""

    state: Literal["pass", "fail", "not_run", "no_gates"]
    exit_code: int
    sentence: str


@dataclass(frozen=True)
class Finding:
    """What the numbers say, in one sentence an executive can read.

    `severity`: "critical" (do not deploy before this is settled), "warning", "note".
    `effect` orders findings: points of accuracy at stake, 0..1.
    """

    slug: str
    severity: Literal["critical", "warning", "note"]
    sentence: str
    evidence: tuple[str, ...]
    remedy: str
    effect: float = 0.0
    sample_ids: tuple[str, ...] = ()
    split: str = ""
    """The split it speaks of; empty where it speaks of none or of several."""
    classes: tuple[str, ...] = ()
    """The classes it names: the report lays the explained images of these beside it."""
    cause: bool = False
    """Whether an experiment showed it to be a cause."""
    code: tuple[str, ...] = ()
    """Keras layers that carry out the remedy, one constructor per line."""
