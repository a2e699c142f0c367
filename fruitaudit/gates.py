"""Thresholds -> PASS / FAIL / NOT_RUN, and the exit code.

A gate is `metric[split] OP number`, or `metric[split][Class Name] OP number` for a figure of one class, [*] for every
class. Gates fail closed: what could not be measured, or is no number, is NOT_RUN and never a pass.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from fruitaudit.config.schema import GateSettings
from fruitaudit.errors import ConfigError
from fruitaudit.evaluation.names import PER_CLASS, SCALARS, TOP_K, spoken
from fruitaudit.evaluation.settle import images_needed, is_settled
from fruitaudit.records.data import SplitSummary
from fruitaudit.records.evaluation import SplitEvaluation
from fruitaudit.records.judgement import GateResult, GateState, Verdict
from fruitaudit.records.states import Estimate, NotRun, Quantity

EVERY_CLASS = "*"
NAMED = 3
"""Offenders that a sentence names."""

_GATE = re.compile(
    r"\s*(?P<metric>\w+)\s*\[(?P<split>[^\[\]]*)\]\s*(?:\[(?P<class>.*)\]\s*)?(?P<op>>=|<=|>|<)(?P<number>.*)"
)
_OPERATORS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    ">=": (operator.ge, "at least"),
    ">": (operator.gt, "above"),
    "<=": (operator.le, "at most"),
    "<": (operator.lt, "below"),
}


@dataclass(frozen=True)
class Gate:
    """A gate that was read. `class_name` is None for a figure of the whole split, "*" for every class."""

    settings: GateSettings
    metric: str
    split: str
    class_name: str | None
    op: str
    threshold: float

    @property
    def spoken(self) -> str:
        """What is judged, e.g. "Recall on store"."""
        name = spoken(self.metric)
        return f"{name[0].upper()}{name[1:]} on {self.split}"

    def holds(self, value: float) -> bool:
        """Whether a finite value is on the right side of the threshold."""
        return _OPERATORS[self.op][0](value, self.threshold)

    def slack(self, value: float) -> float:
        """How far the value is on the right side; the least is the worst offender."""
        return value - self.threshold if self.op.startswith(">") else self.threshold - value


@dataclass(frozen=True)
class _Case:
    """One figure that a gate judges: of the split, or of one class. `value` is the end of the interval asked for."""

    name: str
    quantity: Quantity
    state: GateState
    value: float = float("nan")
    reason: str = ""


def parse_gate(settings: GateSettings) -> Gate:
    """Read the expression. Raises ConfigError, which says what is valid."""
    text = settings.gate
    found = _GATE.fullmatch(text)
    if not found:
        raise ConfigError(
            f"gate {text!r} cannot be read: write metric[split] >= 0.9 or metric[split][Class Name] >= 0.9, "
            f"with one of {', '.join(_OPERATORS)}"
        )
    metric, class_name = found["metric"], found["class"]
    per_class = metric in PER_CLASS
    if not (per_class or metric in SCALARS or TOP_K.fullmatch(metric)):
        raise ConfigError(f"gate {text!r}: there is no metric {metric}; {_nearest(metric, _metric_names())}")
    if per_class and not class_name:
        raise ConfigError(
            f"gate {text!r}: {metric} is a figure of one class; write {metric}[{found['split']}][*] for every class, "
            "or the name of one class in place of the *"
        )
    if not per_class and class_name is not None:
        raise ConfigError(
            f"gate {text!r}: {metric} is a figure of the whole split; leave out [{class_name}], "
            f"or judge one of {', '.join(PER_CLASS)}"
        )
    number = found["number"].strip()
    try:
        threshold = float(number)
    except ValueError:
        threshold = float("nan")
    if not isfinite(threshold):
        raise ConfigError(
            f"gate {text!r}: {number!r} is no finite number; write a number such as 0.9, not a percentage"
        )
    return Gate(settings, metric, found["split"].strip(), class_name, found["op"], threshold)


def check_gates(gates: Sequence[GateSettings], split_names: Sequence[str], class_names: Sequence[str]) -> None:
    """Raise ConfigError for the first gate that cannot be read, or names a split or class that is not there."""
    for settings in gates:
        gate = parse_gate(settings)
        if gate.split not in split_names:
            nearest = _nearest(gate.split, split_names)
            raise ConfigError(f"gate {settings.gate!r}: there is no split {gate.split}; {nearest}")
        if gate.class_name not in (None, EVERY_CLASS, *class_names):
            nearest = _nearest(gate.class_name or "", class_names)
            raise ConfigError(f"gate {settings.gate!r}: the model has no class {gate.class_name}; {nearest}")


def asked_top_k(gates: Sequence[GateSettings]) -> tuple[int, ...]:
    """Each k whose top-k accuracy `evaluate` must measure: 3, and what the gates ask for."""
    found = (TOP_K.fullmatch(parse_gate(gate).metric) for gate in gates)
    return tuple(sorted({3, *(int(match[1]) for match in found if match)}))


def judge(
    gates: Sequence[GateSettings],
    evaluations: Iterable[SplitEvaluation],
    splits: Sequence[SplitSummary],
    max_bad_share: float,
) -> tuple[tuple[GateResult, ...], Verdict]:
    """Every gate in order, and the verdict over those with severity "fail"."""
    measured = {evaluation.split: evaluation for evaluation in evaluations}
    read = {split.name: split for split in splits}
    results = []
    for gate in map(parse_gate, gates):
        reason = _why_not(gate, measured, read, max_bad_share)
        result = _not_run(gate, f"{gate.spoken} cannot be judged: {reason}.") if reason else None
        results.append(result or _judge(gate, _cases(gate, measured[gate.split])))
    return tuple(results), _verdict(results)


def _why_not(
    gate: Gate, measured: Mapping[str, SplitEvaluation], read: Mapping[str, SplitSummary], max_bad_share: float
) -> str:
    if gate.split not in measured or gate.split not in read:
        return f"the split {gate.split} was not evaluated"
    split = read[gate.split]
    if not split.bad_share <= max_bad_share:
        return (
            f"{len(split.bad)} of {split.n_found} files could not be used, {_percent(split.bad_share)} where "
            f"max_bad_share allows {_percent(max_bad_share)}"
        )
    return ""


def _cases(gate: Gate, evaluation: SplitEvaluation) -> list[_Case]:
    if gate.class_name is None:
        absent = NotRun(f"{gate.metric} was not computed")
        return [_case(gate, "", evaluation.metrics.get(gate.metric, absent), evaluation.n)]
    rows = [row for row in evaluation.classes if gate.class_name in (EVERY_CLASS, row.name)]
    if not rows:
        return [_Case(gate.class_name, NotRun(""), "not_run", reason=f"the model has no class {gate.class_name}")]
    return [_case(gate, row.name, getattr(row, gate.metric), row.support) for row in rows]


def _case(gate: Gate, name: str, quantity: Quantity, support: int) -> _Case:
    if isinstance(quantity, NotRun):
        return _Case(name, quantity, "not_run", reason=quantity.reason)
    least = gate.settings.min_support
    if support < least:
        return _Case(name, quantity, "not_run", reason=f"{support} images, min_support asks for {least}")
    value = {"value": quantity.value, "lower": quantity.low, "upper": quantity.high}[gate.settings.on]
    if value is None:
        return _Case(name, quantity, "not_run", reason=quantity.note or "it has no interval")
    if not isfinite(value):
        return _Case(name, quantity, "not_run", reason="it is not a finite number")
    return _Case(name, quantity, "pass" if gate.holds(value) else "fail", value)


def _judge(gate: Gate, cases: Sequence[_Case]) -> GateResult:
    judged = sorted((case for case in cases if case.state != "not_run"), key=lambda case: gate.slack(case.value))
    failed = [case for case in judged if case.state == "fail"]
    unjudged = [case for case in cases if case.state == "not_run"]
    state: GateState = "fail" if failed else "not_run" if unjudged or not cases else "pass"
    if gate.class_name == EVERY_CLASS:
        sentence = _sentence_of_all(gate, len(cases), judged, failed, unjudged)
    else:
        sentence = _sentence_of_one(gate, cases[0])
    if not judged:
        return _not_run(gate, sentence)
    return GateResult(
        gate.settings.gate, state, gate.settings.severity, judged[0].quantity, sentence, _settle(gate, judged)
    )


def _not_run(gate: Gate, sentence: str) -> GateResult:
    return GateResult(gate.settings.gate, "not_run", gate.settings.severity, NotRun(sentence), sentence)


def _sentence_of_one(gate: Gate, case: _Case) -> str:
    subject = f"{gate.spoken} of {case.name}" if case.name else gate.spoken
    if case.state == "not_run":
        return f"{subject} cannot be judged: {case.reason}."
    link = "as asked" if case.state == "pass" else "but should be"
    asked = f"{link}: {_asked(gate, case)}" if case.state == "pass" else f"{link} {_asked(gate, case)}"
    return f"{subject} is {_figure(gate, case)}, {asked}."


def _sentence_of_all(
    gate: Gate, n: int, judged: Sequence[_Case], failed: Sequence[_Case], unjudged: Sequence[_Case]
) -> str:
    open_ = f"{len(unjudged)} of {n} classes: {_listed(f'{case.name} ({case.reason})' for case in unjudged)}"
    if failed:
        worst = _listed(f"{case.name} {_figure(gate, case)}" for case in failed)
        tail = f"; it cannot be judged for {open_}" if unjudged else ""
        asked = _asked(gate, failed[0])
        return f"{gate.spoken} should be {asked} but is not for {len(failed)} of {n} classes: {worst}{tail}."
    if unjudged or not judged:
        tail = f"; the other {len(judged)} hold" if judged else ""
        return f"{gate.spoken} cannot be judged for {open_}{tail}."
    worst = f"{judged[0].name} {_figure(gate, judged[0])}"
    return f"{gate.spoken} is {_asked(gate, judged[0])} for all {n} classes; nearest to the limit is {worst}."


def _asked(gate: Gate, case: _Case) -> str:
    """The condition in words, e.g. "at least 90 %"."""
    share = isinstance(case.quantity, Estimate) and case.quantity.successes is not None
    threshold = f"{100 * gate.threshold:g} %" if share else f"{gate.threshold:g}"
    on = gate.settings.on
    return f"{_OPERATORS[gate.op][1]} {threshold}" + ("" if on == "value" else f" at the {on} end of its interval")


def _figure(gate: Gate, case: _Case) -> str:
    """The measured number with its interval and denominator; more digits where it would look like the threshold."""
    estimate = case.quantity
    assert isinstance(estimate, Estimate)
    share = estimate.successes is not None
    digits = next((d for d in range(1, 7) if _tells_apart(case.value, gate.threshold, d, share)), 6)
    show = (lambda x: _percent(x, digits)) if share else (lambda x: f"{x:.{digits + 2}f}")
    of = f"{estimate.successes} of {estimate.n}" if share else f"{estimate.n} images"
    if estimate.low is None or estimate.high is None:
        return f"{show(estimate.value)} ({of}, no interval)"
    return f"{show(estimate.value)} (95 % interval {show(estimate.low)} to {show(estimate.high)}, {of})"


def _tells_apart(value: float, threshold: float, digits: int, share: bool) -> bool:
    return value == threshold or round(value, digits + 2) != round(threshold, digits + 2)


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _listed(names: Iterable[str]) -> str:
    """The first three, and how many more."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _settle(gate: Gate, judged: Sequence[_Case]) -> str:
    """How many images would decide the gate; `judged` starts with the worst."""
    estimates = [(case, case.quantity) for case in judged if isinstance(case.quantity, Estimate)]
    settled = [(case, e) for case, e in estimates if is_settled(e, gate.threshold)]
    # One class that surely fails settles the whole gate.
    if len(settled) == len(estimates) or any(not gate.holds(e.value) for _, e in settled):
        return "already settled: the interval lies on one side of the threshold"
    undecided = [(case, e) for case, e in estimates if not is_settled(e, gate.threshold)]
    needed = [(images_needed(e, gate.threshold), case) for case, e in undecided]
    if any(e.low is None or e.high is None for _, e in undecided):
        return "no number of images can be told: there is no interval"
    if any(count is None for count, _ in needed):
        return "no number of images would settle it: the figure is the threshold itself"
    count, case = max(((count or 0, case) for count, case in needed), key=lambda pair: pair[0])
    return f"settled with about {_rounded_up(count):,} {_counted(gate, case)}"


def _counted(gate: Gate, case: _Case) -> str:
    """What the denominator of the figure counts."""
    if gate.metric == "recall":
        return f"images of {case.name}"
    return f"images called {case.name}" if gate.metric == "precision" else "images"


def _rounded_up(count: int) -> int:
    """To two digits, e.g. 1234 -> 1300."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step


def _verdict(results: Sequence[GateResult]) -> Verdict:
    if not results:
        return Verdict("no_gates", 0, "No gates are set: nothing was judged.")
    counted = [result for result in results if result.severity == "fail"]
    warned = [result for result in results if result.severity == "warn" and result.state != "pass"]
    failed = [result.gate for result in counted if result.state == "fail"]
    open_ = [result.gate for result in counted if result.state == "not_run"]
    parts = []
    if failed:
        parts.append(f"{len(failed)} of {len(counted)} gates failed: {_listed(failed)}")
    if open_:
        parts.append(f"{len(open_)} of {len(counted)} could not be computed: {_listed(open_)}")
    if not parts:
        parts.append(f"All {len(counted)} gates passed" if counted else "No gate counts: all are warnings")
    if warned:
        parts.append(f"{len(warned)} warnings: {_listed(result.gate for result in warned)}")
    sentence = "; ".join(parts) + "."
    if failed:
        return Verdict("fail", 1, sentence)
    return Verdict("not_run", 3, sentence) if open_ else Verdict("pass", 0, sentence)


def _metric_names() -> tuple[str, ...]:
    return (*SCALARS, "top3_accuracy", *PER_CLASS)


def _nearest(name: str, valid: Sequence[str]) -> str:
    """What to write instead: the nearest spelling, and all that there are."""
    lower = {candidate.lower(): candidate for candidate in valid}
    close = get_close_matches(name.lower(), lower, n=1)
    known = f"known are {', '.join(valid)}"
    return f"did you mean {lower[close[0]]}? ({known})" if close else known
