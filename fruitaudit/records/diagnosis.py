"""What the experiments found: each effect with its interval, each thing that could not be tried with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.attacks import AttackCurve, Shortcut, Turned
from fruitaudit.records.data_checks import DataCheck, DataCheckNotRun, Distance, FeatureShift, PreprocessingTrial, Shift
from fruitaudit.records.states import Estimate, NotRun, Quantity

Direction = Literal["toward_field", "undo_in_field", "probe"]
Decision = Literal["interval", "size", "recomposition", "control", "confusions", "undone"]
"""What decided whether a share counts: see `gap_checks.believe`."""
Experiment = Literal[
    "experiments", "field_experiments", "shortcuts", "attacks", "pertinent_negatives", "labels", "feature_space",
    "nearest_training_image", "decomposition",
]  # fmt: skip
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
class ClaimResult:
    """What was claimed, and what an experiment says to it."""

    claim: str
    state: Literal["supported", "refuted", "undecided"]
    sentence: str


@dataclass(frozen=True)
class Remedy:
    """What to do. `layers` are Keras preprocessing layers, one constructor per line; `limits` keep the label true."""

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
