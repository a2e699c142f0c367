"""Gates on explanations: `verdict[METHOD] == read` and `faithfulness[METHOD] >= 0.1`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.config.schema import GateSettings
from fruitaudit.errors import ConfigError
from fruitaudit.gates.grammar import OPERATORS, nearest, threshold_of
from fruitaudit.records.judgement import GateResult, GateState
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.records.trust import Beside, MethodTrust, Reading, TrustReport

_GATE = re.compile(r"\s*(?P<metric>verdict|faithfulness)\s*\[(?P<method>[^\[\]]*)\]\s*(?P<op>==|>=|>)(?P<what>.*)")
_READINGS: tuple[Reading, ...] = ("do_not_read", "with_care", "read")
"""From the worst to the best."""


@dataclass(frozen=True)
class ReadingGate:
    """A gate on one method: the least `reading`, or the least `gain` over maps that know nothing of the model."""

    settings: GateSettings
    method: str
    op: str
    reading: Reading | None
    gain: float | None


def parse_reading_gate(settings: GateSettings) -> ReadingGate | None:
    """Read the expression; None where it is no gate on explanations. Raises ConfigError for a wrong one."""
    found = _GATE.fullmatch(settings.gate)
    if not found:
        return None
    method, op, what = found["method"].strip(), found["op"], found["what"].strip()
    if found["metric"] == "faithfulness":
        if op == "==":
            raise ConfigError(f"gate {settings.gate!r}: write faithfulness[{method}] >= 0.1, a gain over the controls")
        return ReadingGate(settings, method, op, None, threshold_of(settings.gate, what))
    word = what.replace(" ", "_")
    if word not in _READINGS or op == ">":
        raise ConfigError(f"gate {settings.gate!r}: write verdict[{method}] == read or verdict[{method}] >= with_care")
    return ReadingGate(settings, method, op, _READINGS[_READINGS.index(word)], None)


def check_reading_gate(gate: ReadingGate, methods: Sequence[str]) -> None:
    """Raise ConfigError where no group asks for the method."""
    if gate.method not in methods:
        raise ConfigError(
            f"gate {gate.settings.gate!r}: no group asks for {gate.method}; {nearest(gate.method, methods)}"
        )


def judge_reading(gate: ReadingGate, trust: TrustReport | NotRun) -> GateResult:
    """One gate on explanations. What was not tested is NOT_RUN."""
    if isinstance(trust, NotRun):
        return _not_run(gate, trust.reason)
    tested = {method.method: method for method in trust.methods}
    method = tested.get(gate.method)
    if not isinstance(method, MethodTrust):
        return _not_run(gate, method.reason.reason if method else "it was not among the methods tested")
    if gate.gain is not None:
        return _judge_gain(gate, gate.gain, method)
    verdict = next(verdict for verdict in trust.verdicts if verdict.method == gate.method)
    reached, asked = _READINGS.index(verdict.reading), _READINGS.index(gate.reading or "read")
    holds = reached == asked if gate.op == "==" else reached >= asked
    words = str(gate.reading).replace("_", " ")
    sentence = (
        f"{method.title} should be {'' if gate.op == '==' else 'at least '}\u201c{words}\u201d. {verdict.sentence}"
    )
    telling = method.telling
    return GateResult(gate.settings.gate, "pass" if holds else "fail", gate.settings.severity, telling, sentence)


def _judge_gain(gate: ReadingGate, least: float, method: MethodTrust) -> GateResult:
    test, control, gain = smallest_gain(method)
    if isinstance(gain, NotRun):
        return _not_run(gate, gain.reason)
    value = {"value": gain.value, "lower": gain.low, "upper": gain.high}[gate.settings.on]
    if value is None:
        return _not_run(gate, gain.note or "it has no interval")
    state: GateState = "pass" if OPERATORS[gate.op][0](value, least) else "fail"
    interval = "" if gain.low is None or gain.high is None else f"; 95 % interval {gain.low:.3f} to {gain.high:.3f}"
    sentence = (
        f"The smallest gain of {method.title} over maps that know nothing of the model is {gain.value:.3f} "
        f"({test} beside {control}, {gain.n} images{interval}), where {OPERATORS[gate.op][1]} {least:g} is asked."
    )
    return GateResult(gate.settings.gate, state, gate.settings.severity, gain, sentence)


def smallest_gain(method: MethodTrust) -> tuple[str, str, Quantity]:
    """(test, control, gain) where the method does worst; one that could not be computed is the worst of all."""
    found: list[tuple[str, str, Quantity]] = []
    for test, beside in method.faithfulness.items():
        if isinstance(beside, Beside):
            found += [(test, control, gain) for control, gain in beside.gains.items()]
        else:
            found.append((test, "every control", beside))
    if not found:
        return "", "", NotRun("no test of faithfulness was made")
    return min(found, key=lambda entry: entry[2].value if isinstance(entry[2], Estimate) else float("-inf"))


def _not_run(gate: ReadingGate, reason: str) -> GateResult:
    sentence = f"{gate.method} cannot be judged: {reason}."
    return GateResult(gate.settings.gate, "not_run", gate.settings.severity, NotRun(reason), sentence)
