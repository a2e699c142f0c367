"""The two files a run leaves behind: `results.json` (reproducible) and `run.json` (this one execution)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.data import SplitSummary
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.evaluation import OutsideAnswers, SplitEvaluation
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow, Group
from fruitaudit.records.inputs import PreprocessingSummary
from fruitaudit.records.judgement import Finding, GateResult, Verdict
from fruitaudit.records.model import ModelSummary
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import ExplanationCost, TrustReport

_UNASKED = NotRun("this audit was made by a version of fruitaudit that did not ask for it", "not_asked")


@dataclass(frozen=True)
class Picture:
    """Files under the output folder that show one sample.

    `seen` is what the model sees (PNG, the input's own size); `original` the photograph it was made from (JPEG), or
    None where the model's input is all there is.
    """

    sample_id: str
    true_class: str
    predicted_class: str
    probabilities: dict[str, float]
    """The most probable classes and the true one, largest first."""
    seen: str
    original: str | None
    original_size: tuple[int, int] | None = None
    """Width and height of the photograph on disk, in pixels."""


@dataclass(frozen=True)
class SheetRow:
    """A seeded draw of one class of one split: thumbnails under the output folder. `population` images were there."""

    split: str
    class_name: str
    population: int
    thumbnails: tuple[str, ...]
    sample_ids: tuple[str, ...]


@dataclass(frozen=True)
class ClassOrder:
    """Accuracy on one split of n images under another order of the class names.

    `n_effective` is how many independent images tell as much, where they come in groups; 0 where there are too few
    groups to say. An assignment is found on one half of the images and judged on the n of the other: `given_accuracy`
    is that of the given order on these n, `chance` McNemar's probability that the two differ so.
    """

    order: str
    split: str
    accuracy: float
    n: int
    n_effective: float | None = None
    names: tuple[str, ...] = ()
    """The class names in this order; empty for the given one."""
    given_accuracy: float | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Results:
    """Everything an audit found. Same inputs, seed and machine: the same bytes."""

    title: str
    seed: int
    model: ModelSummary
    preprocessing: PreprocessingSummary
    splits: tuple[SplitSummary, ...]
    evaluations: tuple[SplitEvaluation, ...]
    class_orders: tuple[ClassOrder, ...]
    groups: tuple[Group, ...]
    explanations: tuple[ExplanationRow | ExplanationNotRun, ...]
    pictures: tuple[Picture, ...]
    contact_sheet: tuple[SheetRow, ...]
    findings: tuple[Finding, ...]
    gates: tuple[GateResult, ...]
    verdict: Verdict
    config_sha256: str
    fruitaudit_version: str
    trust: TrustReport | NotRun = _UNASKED
    diagnosis: Diagnosis | NotRun = _UNASKED
    table_rows: int = 1000
    """How many rows the table of predictions in the report may have."""
    lab: str = ""
    """The split that the field is compared with; empty where there is none."""
    outside_answers: tuple[OutsideAnswers, ...] = ()
    """Empty where each output of the model is the label of some image."""
    schema_version: Literal["1"] = "1"


@dataclass(frozen=True)
class Timing:
    """Wall seconds of one step, and the model passes it made (one image once forward, or once forward and back)."""

    step: str
    seconds: float
    forward_passes: int = 0
    gradient_passes: int = 0
    cached: bool = False


@dataclass(frozen=True)
class MemoryPlan:
    """How many images go through the model at once, so that all of it fits; MB are a million bytes."""

    limit_mb: float
    """What was set, or what is taken at most where nothing is."""
    image_mb: float
    """All that the model computes of one image."""
    batch_size: int
    expected_mb: float
    """Program, weights and one batch."""


@dataclass(frozen=True)
class RunInfo:
    """This one execution: never part of `results.json`."""

    started: str
    seconds: float
    peak_memory_mb: float
    command: str
    device: str
    versions: dict[str, str]
    hashes: dict[str, str]
    timings: tuple[Timing, ...]
    explanation_costs: tuple[ExplanationCost, ...] = ()
    """Seconds and passes per explanation while methods were tested; empty where the cache answered."""
    memory: MemoryPlan | None = None
