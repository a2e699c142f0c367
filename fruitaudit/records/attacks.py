"""What changes a prediction: shortcuts, attacks by strength, and the smallest change of each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.states import Estimate, NotRun, Quantity


@dataclass(frozen=True)
class Shortcut:
    """A region outside the object whose replacement changes many answers, or that gives a class away by itself.

    `flips` is the share of `n` images whose answer changes; `control` the same for an equal region elsewhere.
    """

    region: str
    split: str
    class_name: str
    flips: Estimate
    control: Estimate
    box: tuple[int, int, int, int] | None
    """Top, left, bottom, right in pixels of the model's input; None for the whole background."""
    sample_ids: tuple[str, ...]
    sentence: str
    kind: Literal["cell", "frame", "background"] = "cell"


@dataclass(frozen=True)
class AttackCurve:
    """Accuracy on `n` images after an attack of each strength `epsilon` (0..1 of the range from black to white)."""

    attack: str
    norm: Literal["Linf", "L2"]
    split: str
    epsilon: tuple[float, ...]
    accuracy: tuple[Estimate, ...]
    median_epsilon: Quantity
    """Smallest strength, among those tried, at which half of the right answers are lost."""


@dataclass(frozen=True)
class Turn:
    """The smallest change that one way found to turn an answer: what the model then says, and how large it is.

    Norms are of the change, each value from 0 (black) to 1 (white). `picture` is a PNG under the output folder.
    """

    by: str
    picture: str
    answer: str
    l1: float
    l2: float
    linf: float
    state: Literal["done"] = "done"


@dataclass(frozen=True)
class TurnNotFound:
    """A way that found no change of this image."""

    by: str
    reason: NotRun
    state: Literal["not_run"] = "not_run"


@dataclass(frozen=True)
class Turned:
    """One image, the model's `answer`, and the smallest changes that turn it: by attacks and by CEM, side by side."""

    sample_id: str
    true_class: str
    answer: str
    picture: str
    ways: tuple[Turn | TurnNotFound, ...]
