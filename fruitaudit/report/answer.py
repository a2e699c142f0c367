"""The audit in a few sentences: what the HTML summary, `summary.md` and the terminal all say first."""

from __future__ import annotations

from collections.abc import Sequence

from fruitaudit.evaluation.fit import does_not_fit
from fruitaudit.findings.inputs import sensitivity
from fruitaudit.records.evaluation import ClassRow, SplitEvaluation
from fruitaudit.records.judgement import GateResult
from fruitaudit.records.numbers import count
from fruitaudit.records.results import Results
from fruitaudit.records.states import Estimate
from fruitaudit.report.words import listing, percent, quantity

VERDICTS = {"pass": "Pass", "fail": "Fail", "not_run": "Not determined", "no_gates": "No gates set"}
GATE_STATES = {"pass": "Pass", "fail": "Fail", "not_run": "Not computed"}
ROLES = {"reference": "training data", "test": "lab test", "field": "in the field"}
_RANK = {"field": 0, "test": 1, "reference": 2}


def by_importance(evaluations: Sequence[SplitEvaluation]) -> list[SplitEvaluation]:
    """The splits that matter most first: field, then test, then reference."""
    return sorted(evaluations, key=lambda evaluation: _RANK[evaluation.role])


def gate_word(gate: GateResult) -> str:
    """`Pass`, `Fail`, `Not computed`, or `Warning` for a failed gate that is not part of the verdict."""
    return "Warning" if gate.state == "fail" and gate.severity == "warn" else GATE_STATES[gate.state]


def worst_classes(evaluation: SplitEvaluation, limit: int = 3) -> list[ClassRow]:
    """Classes with images in the split, lowest recall first, larger support first among equals."""

    def rank(row: ClassRow) -> tuple[float, int]:
        return (row.hits / row.support, -row.support)

    return sorted((row for row in evaluation.classes if row.support), key=rank)[:limit]


def answer(results: Results) -> list[str]:
    """One paragraph, sentence by sentence: how good, against what, where it fails. The verdict is told beside it."""
    ranked = by_importance(results.evaluations)
    if not ranked:
        return ["No split was evaluated."]
    first, others = ranked[0], [e for e in ranked[1:] if e.role != ranked[0].role]
    others.sort(key=lambda e: e.split != results.lab)
    accuracy = first.metrics.get("accuracy")
    if not isinstance(accuracy, Estimate):
        reason = accuracy.reason if accuracy else "it was not measured"
        return [f"The accuracy on {first.split} could not be computed: {reason}."]
    sentences = [f"On {first.split} the model gives the right answer for {quantity(accuracy, share=True)}."]
    if others:
        against = others[0].metrics.get("accuracy")
        if isinstance(against, Estimate):
            sentences.append(f"On {others[0].split} it reaches {quantity(against, share=True)}.")
    guess = first.metrics.get("no_information_rate")
    if isinstance(guess, Estimate):
        sentences.append(f"Always answering the most frequent class would reach {percent(guess.value)}.")
    if what := sensitivity(results.preprocessing):
        sentences.append(f"How images are prepared is undecided: {what}.")
    if does_not_fit(results.evaluations):
        return ["The pipeline does not fit the model: in the lab it is no better than chance.", *sentences]
    never = [row.name for row in first.classes if row.support and not row.hits]
    if never:
        total = count(sum(1 for row in first.classes if row.support), "class", "classes")
        sentences.append(f"{len(never)} of {total} are never recognised on {first.split}: {listing(never, 5)}.")
    return [*sentences]
