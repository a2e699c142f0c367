"""Gates on figures -> results and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite

from fruitaudit.config.schema import GateSettings
from fruitaudit.gates import sentences
from fruitaudit.gates.check import unsupported
from fruitaudit.gates.counts import classes_judged, no_class, too_few, too_many_bad, without_images
from fruitaudit.gates.readings import judge_reading
from fruitaudit.gates.sentences import Judged, Unjudged
from fruitaudit.records.conditions import ExplanationGate, FigureGate
from fruitaudit.records.data import SplitSummary
from fruitaudit.records.evaluation import ClassRow, SplitEvaluation
from fruitaudit.records.judgement import GateResult, GateState, Verdict
from fruitaudit.records.states import NotRun, Quantity
from fruitaudit.records.trust import TrustReport

_UNTESTED = NotRun("the explanations were not tested", "off")


def judge(
    gates: Sequence[GateSettings],
    evaluations: Iterable[SplitEvaluation],
    splits: Iterable[SplitSummary],
    max_bad_share: float,
    trust: TrustReport | NotRun = _UNTESTED,
) -> tuple[tuple[GateResult, ...], Verdict]:
    """Every gate in order, and the verdict over those with severity "fail"."""
    measured = {evaluation.split: evaluation for evaluation in evaluations}
    summaries = {split.name: split for split in splits}
    results = []
    for settings in gates:
        if isinstance(settings.gate, ExplanationGate):
            results.append(judge_reading(settings, settings.gate, trust))
        else:
            results.append(_judge_figure(settings, settings.gate, measured, summaries, max_bad_share))
    return tuple(results), _verdict(results)


def _judge_figure(
    settings: GateSettings,
    gate: FigureGate,
    measured: Mapping[str, SplitEvaluation],
    summaries: Mapping[str, SplitSummary],
    max_bad_share: float,
) -> GateResult:
    if reason := _not_run(gate, measured, summaries, max_bad_share):
        return _single(settings, gate, Unjudged(_one_class(gate), reason))
    evaluation = measured[gate.split]
    if gate.class_name is None:
        quantity = evaluation.metrics.get(gate.metric, NotRun(f"{gate.metric} was not computed", "not_asked"))
        return _single(settings, gate, _case(settings, gate, "", quantity, evaluation.n))
    images = [(row.name, row.support) for row in evaluation.classes]
    names = {name for name, _ in classes_judged(gate, images)}
    cases = [_class_case(settings, gate, row) for row in evaluation.classes if row.name in names]
    if not cases:
        return _single(settings, gate, Unjudged(_one_class(gate), no_class(gate)))
    if isinstance(gate.class_name, str):
        return _single(settings, gate, cases[0])
    left_out = without_images(gate, images)
    sentence = sentences.of_every_class(gate, cases, left_out)
    return replace(_result(settings, gate, cases, sentence), n_classes=len(cases), n_without_images=left_out)


def _one_class(gate: FigureGate) -> str:
    return gate.class_name if isinstance(gate.class_name, str) else ""


def _not_run(
    gate: FigureGate,
    measured: Mapping[str, SplitEvaluation],
    summaries: Mapping[str, SplitSummary],
    max_bad_share: float,
) -> NotRun | None:
    if reason := unsupported(gate):
        return reason
    if gate.split not in measured or gate.split not in summaries:
        return NotRun(f"split {gate.split} was not evaluated", "not_found")
    split = summaries[gate.split]
    return too_many_bad(split.n_found, len(split.bad), split.name, max_bad_share)


def _class_case(settings: GateSettings, gate: FigureGate, row: ClassRow) -> Judged | Unjudged:
    return _case(settings, gate, row.name, getattr(row, gate.metric), row.support)


def _case(settings: GateSettings, gate: FigureGate, name: str, quantity: Quantity, images: int) -> Judged | Unjudged:
    if isinstance(quantity, NotRun):
        return Unjudged(name, quantity)
    if reason := too_few(settings, images):
        return Unjudged(name, reason)
    value = {"value": quantity.value, "lower": quantity.low, "upper": quantity.high}[settings.on]
    if value is None:
        return Unjudged(name, quantity.no_interval or NotRun(quantity.note or "it has no interval", "undefined"))
    if not isfinite(value):
        return Unjudged(name, NotRun("the figure is not a finite number", "undefined"))
    return Judged(name, quantity, settings.on, value, gate.holds(value))


def _single(settings: GateSettings, gate: FigureGate, case: Judged | Unjudged) -> GateResult:
    return _result(settings, gate, [case], sentences.of_one(gate, case))


def _result(settings: GateSettings, gate: FigureGate, cases: Sequence[Judged | Unjudged], sentence: str) -> GateResult:
    judged = sentences.worst_first(gate, cases)
    passed = len(judged) == len(cases) and all(case.holds for case in judged)
    state: GateState = "fail" if any(not case.holds for case in judged) else "pass" if passed else "not_run"
    unjudged = [case.why.code for case in cases if isinstance(case, Unjudged)]
    measured = judged[0].estimate if judged else NotRun(sentence, unjudged[0])
    settle = sentences.settle(gate, judged) if judged else ""
    return GateResult(gate.text, state, settings.severity, measured, sentence, settle)


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
