"""What the number of images alone decides of a gate: known before the audit, and the same when it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.config.schema import GateSettings
from fruitaudit.gates.sentences import Unjudged, of_unjudged
from fruitaudit.records.conditions import Every, FigureGate
from fruitaudit.records.metrics import TOP_K
from fruitaudit.records.states import NotRun

_OF_TRUE_IMAGES = ("recall", "f1", "auc", "average_precision")
_OF_OTHERS_TOO = ("auc", "average_precision")


@dataclass(frozen=True)
class Counts:
    """Images of a split: of each class (name, images), and files that were found and that could not be used."""

    classes: tuple[tuple[str, int], ...]
    n_found: int
    n_bad: int

    @property
    def images(self) -> int:
        """In all classes together."""
        return sum(images for _, images in self.classes)


def too_many_bad(n_found: int, n_bad: int, split: str, max_bad_share: float) -> NotRun | None:
    """Why no figure of the split may be judged; None where it may."""
    share = n_bad / n_found if n_found else 0.0
    if share <= max_bad_share:
        return None
    return NotRun(
        f"{n_bad} of {n_found} files of split {split} could not be used "
        f"({100 * share:.3g} %), more than max_bad_share allows ({100 * max_bad_share:.3g} %)",
        "unreadable",
    )


def classes_judged(gate: FigureGate, classes: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """(name, images) of each class the gate is about; [*] leaves out those that have no images."""
    if isinstance(gate.class_name, Every):
        return [(name, images) for name, images in classes if images]
    return [(name, images) for name, images in classes if name == gate.class_name]


def without_images(gate: FigureGate, classes: Sequence[tuple[str, int]]) -> int:
    """How many classes [*] leaves out."""
    return len(classes) - len(classes_judged(gate, classes)) if isinstance(gate.class_name, Every) else 0


def too_few(settings: GateSettings, images: int) -> NotRun | None:
    """Why a figure of so many images is not judged; None where it is."""
    if images >= settings.min_support:
        return None
    return NotRun(f"{images} images where min_support asks for {settings.min_support}", "too_few_images")


def no_class(gate: FigureGate) -> NotRun:
    """Why a gate on classes is about none."""
    if isinstance(gate.class_name, Every):
        return NotRun(f"no class has images in {gate.split}", "no_images")
    return NotRun("the model has no such class", "not_found")


def foretold(settings: GateSettings, gate: FigureGate, counts: Counts, max_bad_share: float) -> str:
    """Why the gate cannot pass, whatever the model does; empty where it can."""
    if reason := too_many_bad(counts.n_found, counts.n_bad, gate.split, max_bad_share):
        return reason.reason
    if gate.class_name is None:
        reason = _always_right(gate, len(counts.classes)) or too_few(settings, counts.images)
        return reason.reason if reason else ""
    classes = classes_judged(gate, counts.classes)
    if not classes:
        return no_class(gate).reason
    reasons = [(name, _undefined(gate, images, counts.images) or too_few(settings, images)) for name, images in classes]
    unjudged = [Unjudged(name, reason) for name, reason in reasons if reason]
    if not unjudged or isinstance(gate.class_name, str):
        return "".join(case.why.reason for case in unjudged)
    tail = "" if len(unjudged) == len(classes) else ", so that it can only fail or not be computed"
    return f"it {of_unjudged(unjudged, len(classes), without_images(gate, counts.classes))}{tail}"


def _always_right(gate: FigureGate, n_classes: int) -> NotRun | None:
    top = TOP_K.fullmatch(gate.metric)
    if not top or int(top[1]) < n_classes:
        return None
    return NotRun(f"the model has {n_classes} classes: one of its first {top[1]} is always right", "not_applicable")


def _undefined(gate: FigureGate, images: int, in_all: int) -> NotRun | None:
    """In the words of the evaluation, which leaves these figures out."""
    if not images and gate.metric in _OF_TRUE_IMAGES:
        return NotRun("no image of this class", "no_images")
    if images == in_all and gate.metric in _OF_OTHERS_TOO:
        return NotRun("no image of another class", "undefined")
    return None
