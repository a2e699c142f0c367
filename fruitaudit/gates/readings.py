"""Gates on explanations: `verdict[METHOD] == read` and `faithfulness[METHOD] >= 0.1`."""

from __future__ import annotations

from fruitaudit.config.schema import GateSettings
from fruitaudit.records.conditions import OPERATORS, READINGS, ExplanationGate
from fruitaudit.records.judgement import GateResult, GateState
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.records.trust import ControlComparison, MethodTrust, TrustReport


def judge_reading(settings: GateSettings, gate: ExplanationGate, trust: TrustReport | NotRun) -> GateResult:
    """One gate on explanations. What was not tested is NOT_RUN."""
    if isinstance(trust, NotRun):
        return _not_run(settings, gate, trust)
    tested = {method.method: method for method in trust.methods}
    method = tested.get(gate.method)
    if not isinstance(method, MethodTrust):
        return _not_run(
            settings, gate, method.reason if method else NotRun("it was not among the methods tested", "not_asked")
        )
    if isinstance(gate.least, float):
        return _judge_gain(settings, gate, gate.least, method)
    verdict = next(verdict for verdict in trust.verdicts if verdict.method == gate.method)
    reached, required = READINGS.index(verdict.reading), READINGS.index(gate.least)
    holds = reached == required if gate.op == "==" else reached >= required
    reading = gate.least.replace("_", " ")
    sentence = (
        f"{method.title} should be {'' if gate.op == '==' else 'at least '}\u201c{reading}\u201d. {verdict.sentence}"
    )
    telling = method.telling
    return GateResult(gate.text, "pass" if holds else "fail", settings.severity, telling, sentence)


def _judge_gain(settings: GateSettings, gate: ExplanationGate, least: float, method: MethodTrust) -> GateResult:
    test, control, gain = smallest_gain(method)
    if isinstance(gain, NotRun):
        return _not_run(settings, gate, gain)
    value = {"value": gain.value, "lower": gain.low, "upper": gain.high}[settings.on]
    if value is None:
        return _not_run(settings, gate, NotRun(gain.note or "it has no interval", "undefined"))
    state: GateState = "pass" if OPERATORS[gate.op][0](value, least) else "fail"
    interval = "" if gain.low is None or gain.high is None else f"; 95 % interval {gain.low:.3f} to {gain.high:.3f}"
    sentence = (
        f"The smallest gain of {method.title} over maps that know nothing of the model is {gain.value:.3f} "
        f"({test} beside {control}, {gain.n} images{interval}), where {OPERATORS[gate.op][1]} {least:g} is asked."
    )
    return GateResult(gate.text, state, settings.severity, gain, sentence)


def smallest_gain(method: MethodTrust) -> tuple[str, str, Quantity]:
    """(test, control, gain) where the method does worst; one that could not be computed is the worst of all."""
    candidates: list[tuple[str, str, Quantity]] = []
    for test, comparison in method.faithfulness.items():
        if isinstance(comparison, ControlComparison):
            candidates += [(test, control, gain) for control, gain in comparison.gains.items()]
        else:
            candidates.append((test, "every control", comparison))
    if not candidates:
        return "", "", NotRun("no test of faithfulness was made", "not_computed")
    return min(candidates, key=lambda entry: entry[2].value if isinstance(entry[2], Estimate) else float("-inf"))


def _not_run(settings: GateSettings, gate: ExplanationGate, reason: NotRun) -> GateResult:
    return GateResult(
        gate.text, "not_run", settings.severity, reason, f"{gate.method} cannot be judged: {reason.reason}."
    )
