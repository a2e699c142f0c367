"""What is said of the way into the model: preparation, order of classes, and whether they fit at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from fruitaudit.evaluation.fit import chance_of, does_not_fit, learned_by_heart
from fruitaudit.inputs.class_order import far_better
from fruitaudit.inputs.ways import in_words
from fruitaudit.records.evaluation import OutsideAnswers, SplitEvaluation
from fruitaudit.records.inputs import PreparationTrial, PreprocessingSummary
from fruitaudit.records.judgement import Finding
from fruitaudit.records.results import ClassOrder
from fruitaudit.records.states import Estimate, Quantity
from fruitaudit.runtime.text import listed

_PASTED = 60
"""Class names of a mended list that are printed."""
LOUD = (0.02, 0.1)
"""Points of accuracy that hang on an undecided setting, from which it is a warning, and critical."""


def of_fit(
    evaluations: Sequence[SplitEvaluation], preprocessing: PreprocessingSummary, orders: Sequence[ClassOrder]
) -> Iterator[Finding]:
    """A pipeline that does not fit the model, or a model that has learned its training images by heart."""
    if does_not_fit(evaluations):
        lab = [e for e in evaluations if e.role != "field"]
        yield Finding(
            slug="does-not-fit",
            severity="critical",
            sentence=f"The pipeline does not fit the model: on {listed([e.split for e in lab])} it is no better than "
            "chance, so that nothing about the field, causes or classes can be said.",
            evidence=tuple(_balanced(e) for e in lab),
            remedy=_mending(preprocessing, orders),
            effect=1.0,
        )
    for reference, test in learned_by_heart(evaluations):
        yield Finding(
            slug="overfitting",
            severity="critical",
            sentence=f"The model knows the images of {reference.split} and is at chance on {test.split}: it has "
            "learned its training images by heart (overfitting).",
            evidence=(_balanced(reference), _balanced(test)),
            remedy="Train it again with more or more varied images, augmentation or a smaller network, and stop by "
            "the accuracy on images that it was not trained on.",
            effect=1.0,
            split=test.split,
        )


def of_preparation(preprocessing: PreprocessingSummary) -> Iterator[Finding]:
    """Settings that nothing establishes, that the data contradict, or that were established without being written."""
    better = [trial for trial in preprocessing.trials if trial.surely and trial.difference > 0]
    yield from _contradicted(preprocessing, better)
    if preprocessing.undecided:
        yield _undecided(preprocessing)
    known = [setting for setting in preprocessing.settings if setting.source in ("file", "data")]
    if known:
        yield Finding(
            slug="preparation-established",
            severity="note",
            sentence=f"Nobody wrote down {listed([s.key for s in known])} of the images; the model file or the data "
            "establish what the audit uses.",
            evidence=tuple(setting.evidence for setting in known),
            remedy="Write it under model.preprocessing, so that the next audit does not depend on it.",
        )


def of_class_order(orders: Sequence[ClassOrder]) -> Iterator[Finding]:
    """Names that are wired to other outputs than theirs."""
    better = far_better(orders)
    if better is None:
        return
    configured = next(o for o in orders if o.split == better.split)
    before = configured.accuracy if better.given_accuracy is None else better.given_accuracy
    found = "" if better.given_accuracy is None else "; the assignment was found on the other images of the split"
    yield Finding(
        slug="class-order",
        severity="critical",
        sentence=f"With the class names {better.order}, accuracy on {better.split} is "
        f"{100 * better.accuracy:.1f} % instead of {100 * before:.1f} %: the class names are probably "
        "wired to the wrong outputs.",
        evidence=(
            f"{better.n} images of {better.split}; with the names {configured.order} {100 * before:.1f} %{found}",
            *_mended(better),
        ),
        remedy="Write the class names in the order of the model's outputs under model.classes and run again; "
        "until then no figure in this report can be used.",
        effect=1.0,
    )


def _mended(better: ClassOrder) -> Iterator[str]:
    """The list of names to paste, as long as anybody would."""
    if better.names:
        names = json.dumps(better.names[:_PASTED], ensure_ascii=False)
        rest = f" and {len(better.names) - _PASTED} more, see class_orders in results.json"
        yield f"mended list: classes: {names}{rest if len(better.names) > _PASTED else ''}"


def of_outside_answers(rows: Sequence[OutsideAnswers]) -> Iterator[Finding]:
    """Errors that are answers which no image is labelled with."""
    rows = [row for row in rows if row.outside]
    if not rows:
        return
    worst = max(rows, key=lambda row: row.outside)
    yield Finding(
        slug="answers-without-label",
        severity="note",
        sentence=f"Of the {worst.errors} errors on {worst.split}, {worst.outside} are answers that no image is "
        f"labelled with: {worst.n_labels} of the model's {worst.n_outputs:,} classes have labels.",
        evidence=tuple(f"{row.split}: {row.outside} of {row.errors} errors; right {row.accuracy.text(share=True)}, "
                       f"with labelled classes alone {row.restricted.text(share=True)}" for row in rows),
        remedy="Where no other class can occur in use either, write outputs: labels under model, and restrict the "
        "model's answers there in the same way.",
        effect=0.0,
    )  # fmt: skip


def sensitivity(preprocessing: PreprocessingSummary) -> str:
    """What hangs on an undecided setting, `with -1-1 it would be 43.6 %`; empty where next to nothing does."""
    rivals = [trial for trial in _rivals(preprocessing) if abs(trial.difference) >= LOUD[0]]
    if not rivals:
        return ""
    figures = listed([f"{_percent(trial)} with {in_words(trial.values)}" for trial in rivals[:2]])
    n = rivals[0].accuracy.n if isinstance(rivals[0].accuracy, Estimate) else 0
    return f"on {n} images of {preprocessing.tried_on} it would be {figures} instead of {_given(rivals[0])}"


def _undecided(preprocessing: PreprocessingSummary) -> Finding:
    rivals, keys = _rivals(preprocessing), preprocessing.undecided
    hangs = max((abs(trial.difference) for trial in rivals), default=0.0)
    what = sensitivity(preprocessing)
    return Finding(
        slug="preparation-undecided",
        severity="critical" if hangs >= LOUD[1] else "warning" if hangs >= LOUD[0] else "note",
        sentence=f"How images are prepared for this model is undecided ({listed(keys)}): nobody wrote it down and "
        "nothing establishes it" + (f"; {what}." if what else "."),
        evidence=tuple(s.evidence for s in preprocessing.settings if s.source == "undecided"),
        remedy="Ask whoever trained the model, and write it under model.preprocessing"
        + ("; until then every figure holds for this preparation only." if what else "."),
        effect=hangs,
    )


def _contradicted(preprocessing: PreprocessingSummary, better: Sequence[PreparationTrial]) -> Iterator[Finding]:
    for setting in preprocessing.settings:
        if setting.source == "written":
            yield Finding(
                slug="preparation-against-file",
                severity="warning",
                sentence=f"The config prepares images otherwise than the model file says: {setting.evidence}",
                evidence=(),
                remedy=f"Check model.preprocessing.{setting.key} with whoever trained the model.",
            )
    written = [trial for trial in better if not set(trial.values) & set(preprocessing.undecided)]
    if written:
        best = max(written, key=lambda trial: trial.difference)
        yield Finding(
            slug="preparation-worse",
            severity="warning",
            sentence=f"With {in_words(best.values)} the model would get {_percent(best)} of images of "
            f"{preprocessing.tried_on} right instead of {_given(best)}: what the config writes under "
            f"{listed([f'model.preprocessing.{key}' for key in best.values])} is surely worse.",
            evidence=(f"{best.accuracy.text(share=True)}, difference {100 * best.difference:+.1f} points, probability "
                      f"by chance {best.chance:.1g}",),
            remedy="Check how images were prepared in training, and write that.",
            effect=best.difference,
        )  # fmt: skip


def _rivals(preprocessing: PreprocessingSummary) -> list[PreparationTrial]:
    """The ways that are possible too and differ in an undecided setting, the largest difference first."""
    keys = set(preprocessing.undecided)
    rivals = [trial for trial in preprocessing.trials if trial.possible and keys & set(trial.values)]
    return sorted(rivals, key=lambda trial: -abs(trial.difference))


def _mending(preprocessing: PreprocessingSummary, orders: Sequence[ClassOrder]) -> str:
    better = [trial for trial in preprocessing.trials if trial.surely and trial.difference > 0]
    order = far_better(orders)
    if better:
        best = max(better, key=lambda trial: trial.difference)
        keys = listed([f"{key}: {value}" for key, value in best.values.items()])
        return (f"Write {keys} under model.preprocessing, with which {_percent(best)} of the images of "
                f"{preprocessing.tried_on} are right, and run again.")  # fmt: skip
    if order is not None:
        return (f"Write the class names {order.order} under model.classes, with which {100 * order.accuracy:.1f} % of "
                f"the images of {order.split} are right, and run again.")  # fmt: skip
    return ("Check the model file, the labels, and how images were prepared in training: no scale, channel order or "
            "order of class names that was tried mends it.")  # fmt: skip


def _balanced(evaluation: SplitEvaluation) -> str:
    balanced = evaluation.metrics["balanced_accuracy"]
    return (f"{evaluation.split}: balanced accuracy {balanced.text(share=True)}; chance is "
            f"{100 * chance_of(evaluation):.1f} %")  # fmt: skip


def _percent(trial: PreparationTrial) -> str:
    return _share(trial.accuracy, 0.0)


def _given(trial: PreparationTrial) -> str:
    """Of the audit's own way, on the same images."""
    return _share(trial.accuracy, trial.difference)


def _share(accuracy: Quantity, gain: float) -> str:
    return f"{100 * (accuracy.value - gain):.1f} %" if isinstance(accuracy, Estimate) else "an unknown share"
