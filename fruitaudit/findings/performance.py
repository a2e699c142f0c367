"""What the evaluation says of each field split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fruitaudit.evaluation.lab import lab_split
from fruitaudit.findings.answers import only_answer
from fruitaudit.findings.words import width_of
from fruitaudit.records.evaluation import SplitEvaluation
from fruitaudit.records.judgement import Finding
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.bootstrap import ROUGH_BELOW
from fruitaudit.statistics.intervals import difference

WIDE = 0.2
"""Width of the interval of accuracy from which a split has too few images."""
GAP = 0.05
"""Smallest drop in accuracy (lower end of its interval) worth a critical finding."""
CHANCE = 0.05
"""Largest probability of chance, over all classes together, at which a class is said to be called too often."""


def of_performance(evaluations: Sequence[SplitEvaluation], lab: str | None = None) -> Iterator[Finding]:
    """Findings about right and wrong answers. `lab`: the split that the field is compared with, where one was asked."""
    lab = lab_split(((e.split, e.role, e.n) for e in evaluations), lab)
    home = next((evaluation for evaluation in evaluations if evaluation.split == lab), None)
    for evaluation in evaluations:
        if evaluation.role == "field":
            yield from _gap(home, evaluation)
            yield from _collapse(evaluation)
            yield from _never_right(evaluation)
            yield from _confidence(evaluation)
    yield from _few_images(evaluations)


def _gap(home: SplitEvaluation | None, field: SplitEvaluation) -> Iterator[Finding]:
    field_accuracy = field.metrics["accuracy"]
    guess = field.metrics["no_information_rate"]
    if not isinstance(field_accuracy, Estimate) or not isinstance(guess, Estimate):
        return
    evidence = [f"accuracy on {field.split}: {field_accuracy.text(share=True)}",
                f"always answering the most frequent class would reach {100 * guess.value:.1f} %"]  # fmt: skip
    home_accuracy = home.metrics["accuracy"] if home else None
    if home and isinstance(home_accuracy, Estimate):
        gap = difference(home_accuracy, field_accuracy)
        evidence.insert(0, f"accuracy on {home.split}: {home_accuracy.text(share=True)}")
        if gap.low is not None and gap.high is not None and gap.low > GAP:
            balanced = [(e.metrics["balanced_accuracy"], e.split) for e in (home, field)]
            balanced_texts = [f"{100 * b.value:.1f} % on {split}" for b, split in balanced if isinstance(b, Estimate)]
            evidence.append(f"balanced accuracy, whatever the mix of classes: {' and '.join(balanced_texts)}")
            evidence.append(f"difference {100 * gap.value:.1f} points, 95 % interval "
                            f"{100 * gap.low:.1f}–{100 * gap.high:.1f}")  # fmt: skip
            yield Finding(
                slug="field-gap",
                severity="critical",
                sentence=f"On {field.split} the model gets {100 * field_accuracy.value:.1f} % of the images right, "
                f"on {home.split} {100 * home_accuracy.value:.1f} %: the figure measured on {home.split} does not "
                f"hold for {field.split}.",
                evidence=tuple(evidence),
                remedy=f"Do not rely on the accuracy measured on {home.split}. Collect labelled images like those of "
                f"{field.split} for training and for testing, from sources that the two do not share.",
                effect=gap.value,
                split=field.split,
            )
    if field_accuracy.low is not None and field_accuracy.low <= guess.value:
        too_few = field_accuracy.value > guess.value and width_of(field_accuracy) > WIDE
        yield Finding(
            slug="no-better-than-guessing",
            severity="warning" if too_few else "critical",
            sentence=f"On {field.split} the model is not shown to be better than always answering the most "
            "frequent class.",
            evidence=tuple(evidence),
            remedy="Label more images before this model is used for them."
            if too_few
            else "Do not deploy this model for these images.",
            effect=max(0.0, 1 - field_accuracy.value),
            split=field.split,
        )


def _collapse(evaluation: SplitEvaluation) -> Iterator[Finding]:
    if not evaluation.classes or not evaluation.n or only_answer(evaluation):
        return
    top = max(evaluation.classes, key=lambda row: row.predicted - row.support)
    answer_share, true_share = top.predicted / evaluation.n, top.support / evaluation.n
    wrong = top.predicted - top.hits
    # The class was picked as the worst of all: Bonferroni.
    chance = (1.0 if top.chance is None else top.chance) * len(evaluation.classes)
    if answer_share < 0.2 or answer_share < 2 * true_share or chance > CHANCE:
        return
    yield Finding(
        slug="collapse",
        severity="critical" if answer_share > 0.3 and answer_share > 3 * true_share else "warning",
        sentence=f"{top.name} is the model's answer to {top.predicted} of {evaluation.n} {evaluation.split} images "
        f"({100 * answer_share:.0f} %), though only {top.support} ({100 * true_share:.0f} %) show it.",
        evidence=(f"{wrong} of these {top.predicted} answers are wrong", f"precision {top.precision.text(share=True)}"),
        remedy=f"Look at what the images called {top.name} have in common, and change that alone in other images: if "
        "the answer follows it, train with images in which it does not tell the class.",
        effect=wrong / evaluation.n,
        split=evaluation.split,
        classes=(top.name,),
    )


def _never_right(evaluation: SplitEvaluation) -> Iterator[Finding]:
    with_images = [row for row in evaluation.classes if row.support]
    rows = [row for row in with_images if not row.hits]
    if not rows:
        return
    n = sum(row.support for row in rows)
    few = max(row.support for row in rows) < ROUGH_BELOW
    yield Finding(
        slug="never-recognised",
        severity="note" if few else "warning",
        sentence=f"On {evaluation.split} no image was recognised of {len(rows)} of {len(with_images)} classes: "
        f"{', '.join(f'{row.name} (0 of {row.support})' for row in rows)}.",
        evidence=tuple(f"{row.name}: recall {row.recall.text(share=True)}" for row in rows),
        remedy="Label more images of these classes: so few cannot tell never from seldom."
        if few
        else "Leave these classes out of use, or collect images of them as they look there.",
        effect=n / evaluation.n,
        split=evaluation.split,
        classes=tuple(row.name for row in rows),
    )


def _confidence(evaluation: SplitEvaluation) -> Iterator[Finding]:
    sure, accuracy, ece = (evaluation.metrics[k] for k in ("mean_confidence", "accuracy", "ece"))
    if not (isinstance(sure, Estimate) and isinstance(accuracy, Estimate) and isinstance(ece, Estimate)):
        return
    if sure.value - accuracy.value < 0.1 or (ece.low or 0.0) < 0.1:
        return
    evidence = [f"mean confidence {100 * sure.value:.1f} %, accuracy {accuracy.text(share=True)}",
                f"expected calibration error {ece.value:.3f}"]  # fmt: skip
    surest = evaluation.surest
    if isinstance(surest, Estimate) and surest.n < 0.5 * evaluation.n:
        part = 100 * surest.n / evaluation.n
        evidence.append(
            f"of the {surest.n} images it is surest of ({part:.0f} %), it got right {surest.text(share=True)}"
        )
    yield Finding(
        slug="overconfident",
        severity="warning",
        sentence=f"On {evaluation.split} the model is {100 * sure.value:.0f} % sure on average and right "
        f"{100 * accuracy.value:.0f} % of the time: its probabilities promise more than they keep.",
        evidence=tuple(evidence),
        remedy="Do not use the model's probability as a threshold for automatic decisions before it is calibrated on "
        "images like these.",
        effect=ece.value / 2,
        split=evaluation.split,
    )


def _few_images(evaluations: Sequence[SplitEvaluation]) -> Iterator[Finding]:
    for evaluation in evaluations:
        accuracy = evaluation.metrics["accuracy"]
        if isinstance(accuracy, Estimate) and accuracy.low is not None and accuracy.high is not None:
            width = width_of(accuracy)
            if width > WIDE:
                yield Finding(
                    slug="few-images",
                    severity="warning",
                    sentence=f"{evaluation.split} has too few images to say how accurate the model is: the 95 % "
                    f"interval is {100 * width:.0f} points wide.",
                    evidence=(f"accuracy {accuracy.text(share=True)}",),
                    remedy="Label more images; an interval half as wide takes four times as many.",
                )
