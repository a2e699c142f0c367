"""What is said of a model that gives one answer for every picture, or several for one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fruitaudit.records.evaluation import ClassRow, SplitEvaluation
from fruitaudit.records.judgement import Finding
from fruitaudit.records.model import Variation
from fruitaudit.runtime.text import listed

FEWEST = 10
"""Images of several classes from which one answer for all of them is no accident."""
STILL = 1e-5
"""Range of probabilities up to which they do not vary: float32 rounds by less than that."""
UNSTEADY = 0.05
"""Standard deviation of a probability from which a model that draws is not to be used as it is."""


def only_answer(evaluation: SplitEvaluation) -> ClassRow | None:
    """The class that every image of a split is given although it shows several, else None."""
    rows = [row for row in evaluation.classes if row.predicted]
    several = sum(1 for row in evaluation.classes if row.support) > 1
    return rows[0] if several and len(rows) == 1 and (evaluation.n >= FEWEST or _still(evaluation)) else None


def of_constant_answers(evaluations: Sequence[SplitEvaluation]) -> Iterator[Finding]:
    """One finding about all splits in which every image gets the same answer, or the same probabilities."""
    answers = [(e, row) for e in evaluations if (row := only_answer(e)) is not None]
    if not answers:
        return
    same = all(_still(evaluation) for evaluation, _ in answers)
    yield Finding(
        slug="constant-answer",
        severity="critical",
        sentence=f"The model gives every picture of {listed([e.split for e, _ in answers])} the same answer"
        f"{', with the same probabilities' if same else ''}: it does not tell the classes apart.",
        evidence=tuple(_evidence(evaluation, row) for evaluation, row in answers),
        remedy="Check model.preprocessing and the model file first: pixels on another scale and layers that have died "
        "do this; if both are right, train the model again. Until then no other figure of these splits means "
        "anything.",
        effect=1.0,
        split=answers[0][0].split if len(answers) == 1 else "",
    )


def of_variation(variation: Variation | None) -> Iterator[Finding]:
    """A model that answers differently when it is asked twice."""
    if variation is None:
        return
    always = variation.where == "always"
    yield Finding(
        slug="answers-vary",
        severity="critical" if variation.changed or variation.deviation > UNSTEADY else "warning",
        sentence="Asked twice about the same picture, the model gives different answers"
        + (f": all figures are those of the mean of {variation.draws} draws." if always
           else " where it is called as model(x): all figures are those of model.predict(x), which draws nothing."),
        evidence=(variation.text,),
        remedy="Use the model on the mean of as many draws, or switch off the layers that draw, such as dropout, "
        "before the model is exported." if always
        else "Call model.predict(x) or model(x, training=False) where the model is used, or build it without "
        "training=True; if the draws are meant, average many of them.",
        effect=min(1.0, variation.deviation),
    )  # fmt: skip


def _still(evaluation: SplitEvaluation) -> bool:
    return evaluation.probability_range is not None and evaluation.probability_range <= STILL


def _evidence(evaluation: SplitEvaluation, row: ClassRow) -> str:
    spread = evaluation.probability_range
    varies = "" if spread is None else f"; no class's probability differs by more than {spread:.2g} among them"
    return f"{evaluation.split}: {row.name} is the answer to all {evaluation.n} images, {row.support} show it{varies}"
