"""What is said of a model that does not look: one answer for every picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fruitaudit.findings.words import listed
from fruitaudit.records.evaluation import ClassRow, SplitEvaluation
from fruitaudit.records.judgement import Finding

FEWEST = 10
"""Images of several classes from which one answer for all of them is no accident."""
STILL = 1e-5
"""Range of probabilities up to which they do not vary: float32 rounds by less than that."""


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


def _still(evaluation: SplitEvaluation) -> bool:
    return evaluation.probability_range is not None and evaluation.probability_range <= STILL


def _evidence(evaluation: SplitEvaluation, row: ClassRow) -> str:
    spread = evaluation.probability_range
    varies = "" if spread is None else f"; no class's probability differs by more than {spread:.2g} among them"
    return f"{evaluation.split}: {row.name} is the answer to all {evaluation.n} images, {row.support} show it{varies}"
