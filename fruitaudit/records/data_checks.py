"""What the checks of the data say: listed images, shifts between splits, other ways of preparing the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.states import Estimate, NotRun, Quantity

Check = Literal[
    "duplicates", "duplicates across", "shared groups", "starved classes", "split size", "odd files", "doubtful labels"
]
Setting = Literal["channel order", "scale", "resize", "interpolation", "class order"]


@dataclass(frozen=True)
class DataCheck:
    """A check of the data: how many of `n` images it concerns, and the first of them.

    `rows` are lines of a worksheet under `columns`, worst first; `total` counts them all. `other` is the split that
    `split` was compared with, where it was. `exact` of the repetitions are equal pixel by pixel. `lower_bound`: only a
    draw was looked at, so that there may be more. `too_small` says of the size of a split that its accuracy cannot be
    told.
    """

    name: Check
    split: str
    n: int
    total: int
    sentence: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    sample_ids: tuple[str, ...] = ()
    other: str = ""
    exact: int = 0
    lower_bound: bool = False
    too_small: bool = False

    @property
    def where(self) -> str:
        """The split, or both."""
        return f"{self.split} in {self.other}" if self.other else self.split


@dataclass(frozen=True)
class DataCheckNotRun:
    """A check of the data that could not be made."""

    name: Check
    split: str
    reason: NotRun
    other: str = ""
    state: Literal["not_run"] = "not_run"

    @property
    def where(self) -> str:
        """The split, or both."""
        return f"{self.split} in {self.other}" if self.other else self.split


@dataclass(frozen=True)
class Shift:
    """One property on two splits: medians (None without images that have it), and Hedges' g.

    Hedges' g is the difference of means over the pooled deviation, corrected for few images.
    """

    property: str
    unit: str
    lab_split: str
    field_split: str
    lab: float | None
    field: float | None
    effect: Quantity


@dataclass(frozen=True)
class FeatureShift:
    """How well a classifier of the model's features tells two splits apart, cross-validated: 0.5 is not at all.

    `most_lab` and `most_field` are the images by which it tells them.
    """

    lab_split: str
    field_split: str
    auc: Quantity
    most_lab: tuple[str, ...] = ()
    most_field: tuple[str, ...] = ()


@dataclass(frozen=True)
class Distance:
    """One wrong answer and the training image of its true class that is nearest to it in the model's features.

    `rank` is the share, 0..1, of right answers' distances that are smaller: near 1, training showed nothing like it.
    """

    sample_id: str
    true_class: str
    predicted_class: str
    nearest: str
    distance: float
    rank: float


@dataclass(frozen=True)
class PreprocessingTrial:
    """Accuracy on one split under another way of preparing the same files; `gain` is paired with the given way."""

    setting: Setting
    value: str
    split: str
    accuracy: Estimate
    gain: Estimate
