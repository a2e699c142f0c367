"""What the experiments found: each effect with its interval, each thing that could not be tried with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.states import Estimate, NotRun, Quantity

Direction = Literal["toward_field", "undo_in_field", "probe"]
Decision = Literal["interval", "size", "recomposition", "control", "confusions", "undone"]
"""What decided whether a share counts: see `gap_checks.believe`."""
Experiment = Literal[
    "experiments", "field_experiments", "shortcuts", "attacks", "pertinent_negatives", "labels", "feature_space",
    "nearest_training_image", "decomposition",
]  # fmt: skip
Check = Literal[
    "duplicates", "duplicates across", "shared groups", "starved classes", "split size", "odd files", "doubtful labels"
]
Setting = Literal["channel order", "scale", "resize", "interpolation", "class order"]
_UNMEASURED = NotRun("this audit was made by a version of fruitaudit that did not measure it", "not_asked")


@dataclass(frozen=True)
class Effect:
    """One change, paired on the same images of `split`: accuracy `before`, `after`, and `change` = after - before.

    `dose` says how much was changed, `distance` is the root mean square change of pixels, 0..1. `flipped` are images
    whose answer the change turned from right to wrong (for "undo_in_field": from wrong to right), the first few.
    `field_split` gave the dose, whichever split was changed. `guessed`: where to change it was not known, so that it
    speaks neither for the cause nor against it.
    """

    factor: str
    title: str
    direction: Direction
    split: str
    dose: str
    before: Estimate
    after: Estimate
    change: Estimate
    distance: float
    flipped: tuple[str, ...]
    notes: tuple[str, ...] = ()
    field_split: str = ""
    guessed: bool = False
    state: Literal["done"] = "done"


@dataclass(frozen=True)
class EffectNotRun:
    """A change that could not be made, or that there is no reason to make because the field does not differ in it."""

    factor: str
    title: str
    direction: Direction
    split: str
    reason: NotRun
    field_split: str = ""
    state: Literal["not_run"] = "not_run"


@dataclass(frozen=True)
class GapShare:
    """Points of accuracy (0..1) of the lab-to-field gap that one factor explains, by its Shapley share.

    `counts` only where the checks allow it; `why` says what decided, `decided_by` which of the checks. `alone` is the
    drop when the factor alone is changed, `last` when it comes after all others, `control` that under a frame which
    takes every image as far as the factor alone does (root mean square of pixels).
    """

    factor: str
    title: str
    points: Estimate
    alone: float
    last: float
    counts: bool
    why: str
    control: Quantity = _UNMEASURED
    decided_by: Decision = "interval"


@dataclass(frozen=True)
class GapCheck:
    """A control that a decomposition must pass. `passed` is None where it could not be made."""

    name: Literal["recomposition", "confusions", "control"]
    passed: bool | None
    measured: Quantity
    sentence: str


@dataclass(frozen=True)
class Decomposition:
    """The fall of accuracy from `lab` to `field`, divided among factors.

    lab accuracy - `recomposition` - sum of the shares' points - `unexplained` = field accuracy. `transformed` is the
    accuracy of the lab images under all the factors together. `method` says how subsets were chosen.
    """

    lab_split: str
    field_split: str
    lab: Estimate
    field: Estimate
    gap: Estimate
    transformed: Estimate
    recomposition: Estimate
    shares: tuple[GapShare, ...]
    unexplained: Estimate
    checks: tuple[GapCheck, ...]
    method: str
    state: Literal["done"] = "done"


@dataclass(frozen=True)
class DataCheck:
    """A check of the data: how many of `n` images it concerns, and the first of them.

    `rows` are lines of a worksheet under `columns`, worst first; `total` counts them all. `other` is the split that
    `split` was compared with, where it was. `exact` of the repetitions are equal pixel by pixel. `too_small` says of
    the size of a split that its accuracy cannot be told.
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


@dataclass(frozen=True)
class ClaimResult:
    """What was claimed, and what an experiment says to it."""

    claim: str
    state: Literal["supported", "refuted", "undecided"]
    sentence: str


@dataclass(frozen=True)
class Remedy:
    """What to do. `layers` are Keras preprocessing layers, one constructor a line; `limits` keep the label true."""

    sentence: str
    layers: tuple[str, ...] = ()
    limits: str = ""


@dataclass(frozen=True)
class CauseFinding:
    """A finding of the experiments. `severity` "cause": something that must be mended was shown by an experiment.

    `effect` is in points of accuracy, 0..1; `certainty` 0..1 is the share of the checks that could be made and were
    passed. Findings are ranked by severity, then by effect times certainty.
    """

    slug: str
    severity: Literal["cause", "warning", "note"]
    sentence: str
    evidence: tuple[str, ...]
    remedy: Remedy
    effect: float
    certainty: float
    sample_ids: tuple[str, ...] = ()
    split: str = ""


@dataclass(frozen=True)
class Example:
    """One lab image before and after a change: PNG files under the output folder, and what the model calls them.

    `factor` is one of the decomposition's, or "together" for all of its factors at once; "field" is a photo of
    `field_split` of the same class, where there is one, in place of the lab image.
    """

    factor: str
    sample_id: str
    before: str
    after: str
    answer_before: str
    answer_after: str
    true_class: str
    field_split: str


@dataclass(frozen=True)
class ExperimentNotRun:
    """An experiment that was not made as a whole, and on which split where there are several."""

    name: Experiment
    reason: NotRun
    split: str = ""
    state: Literal["not_run"] = "not_run"


@dataclass(frozen=True)
class Diagnosis:
    """Everything the experiments found, for one lab split and each field split."""

    listings: tuple[DataCheck | DataCheckNotRun, ...]
    shifts: tuple[Shift, ...]
    feature_shifts: tuple[FeatureShift, ...]
    distances: tuple[Distance, ...]
    trials: tuple[PreprocessingTrial, ...]
    effects: tuple[Effect | EffectNotRun, ...]
    decompositions: tuple[Decomposition, ...]
    shortcuts: tuple[Shortcut, ...]
    attacks: tuple[AttackCurve, ...]
    claims: tuple[ClaimResult, ...]
    findings: tuple[CauseFinding, ...]
    not_run: tuple[ExperimentNotRun, ...]
    """Experiments that were not made as a whole."""
    examples: tuple[Example, ...] = ()
    turned: tuple[Turned, ...] = ()
