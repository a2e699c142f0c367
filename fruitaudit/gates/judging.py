"""Gates on figures -> results and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from fruitaudit.config.schema import GateSettings
from fruitaudit.gates import sentences
from fruitaudit.gates.grammar import EVERY_CLASS, Gate, parse_gate
from fruitaudit.gates.readings import judge_reading, parse_reading_gate
from fruitaudit.gates.sentences import Judged, Unjudged
from fruitaudit.records.data import SplitSummary
from fruitaudit.records.evaluation import SplitEvaluation
from fruitaudit.records.judgement import GateResult, GateState, Verdict
from fruitaudit.records.states import NotRun, Quantity
from fruitaudit.records.trust import TrustReport

_UNTESTED = NotRun("the explanations were not tested")


def judge(
    gates: Sequence[GateSettings],
    evaluations: Iterable[SplitEvaluation],
    splits: Iterable[SplitSummary],
    max_bad_share: float,
    trust: TrustReport | NotRun = _UNTESTED,
) -> tuple[tuple[GateResult, ...], Verdict]:
    """Every gate in order, and the verdict over those with severity "fail"."""
    measured = {evaluation.split: evaluation for evaluation in evaluations}
    read = {split.name: split for split in splits}
    results = []
    for settings in gates:
        if about_reading := parse_reading_gate(settings):
            results.append(judge_reading(about_reading, trust))
            continue
        gate = parse_gate(settings)
        if reason := _why_not(gate, measured, read, max_bad_share):
            cases: list[Judged | Unjudged] = [Unjudged(_one_class(gate), reason)]
            results.append(_result(gate, cases, sentences.of_one(gate, cases[0])))
        else:
            cases = _cases(gate, measured[gate.split])
            every = gate.class_name == EVERY_CLASS
            sentence = sentences.of_every_class(gate, cases) if every else sentences.of_one(gate, cases[0])
            results.append(_result(gate, cases, sentence))
    return tuple(results), _verdict(results)


def _one_class(gate: Gate) -> str:
    return "" if gate.class_name in (None, EVERY_CLASS) else str(gate.class_name)


def _why_not(
    gate: Gate, measured: Mapping[str, SplitEvaluation], read: Mapping[str, SplitSummary], max_bad_share: float
) -> str:
    if gate.split not in measured or gate.split not in read:
        return f"split {gate.split} was not evaluated"
    split = read[gate.split]
    if split.bad_share <= max_bad_share:
        return ""
    return (
        f"{len(split.bad)} of {split.n_found} files of split {split.name} could not be used "
        f"({100 * split.bad_share:.3g} %), more than max_bad_share allows ({100 * max_bad_share:.3g} %)"
    )


def _cases(gate: Gate, evaluation: SplitEvaluation) -> list[Judged | Unjudged]:
    """What the gate judges: the split's figure, or that of each class; at least one."""
    if gate.class_name is None:
        quantity = evaluation.metrics.get(gate.metric, NotRun(f"{gate.metric} was not computed"))
        return [_case(gate, "", quantity, evaluation.n)]
    rows = [row for row in evaluation.classes if gate.class_name in (EVERY_CLASS, row.name)]
    cases = [_case(gate, row.name, getattr(row, gate.metric), row.support) for row in rows]
    return cases or [Unjudged(gate.class_name, "the model has no such class")]


def _case(gate: Gate, name: str, quantity: Quantity, support: int) -> Judged | Unjudged:
    if isinstance(quantity, NotRun):
        return Unjudged(name, quantity.reason)
    if support < gate.settings.min_support:
        return Unjudged(name, f"{support} images where min_support asks for {gate.settings.min_support}")
    value = {"value": quantity.value, "lower": quantity.low, "upper": quantity.high}[gate.settings.on]
    if value is None:
        return Unjudged(name, quantity.note or "it has no interval")
    if not isfinite(value):
        return Unjudged(name, "the figure is not a finite number")
    return Judged(name, quantity, value, gate.holds(value))


def _result(gate: Gate, cases: Sequence[Judged | Unjudged], sentence: str) -> GateResult:
    judged = sentences.worst_first(gate, cases)
    passed = len(judged) == len(cases) and all(case.holds for case in judged)
    state: GateState = "fail" if any(not case.holds for case in judged) else "pass" if passed else "not_run"
    measured = judged[0].estimate if judged else NotRun(sentence)
    settle = sentences.settle(gate, judged) if judged else ""
    return GateResult(gate.settings.gate, state, gate.settings.severity, measured, sentence, settle)


def _verdict(results: Sequence[GateResult]) -> Verdict:
    if not results:
        return Verdict("no_gates", 0, "No gates are set: nothing was judged.")
    counted = [result for result in results if result.severity == "fail"]
    failed = [result.gate for result in counted if result.state == "fail"]
    missing = [result.gate for result in counted if result.state == "not_run"]
    warned = [result.gate for result in results if result.severity == "warn" and result.state != "pass"]
    sentence = sentences.of_verdict(len(counted), failed, missing, warned)
    if failed:
        return Verdict("fail", 1, sentence)
    return Verdict("not_run", 3, sentence) if missing else Verdict("pass", 0, sentence)
