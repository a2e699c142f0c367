"""What a gate measured, in a sentence with the number, its interval, its denominator and the worst offenders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.conditions import OPERATORS, FigureGate
from fruitaudit.records.metrics import spoken
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.statistics.settle import images_needed, is_settled

NAMED = 3
"""Offenders that a sentence names."""


@dataclass(frozen=True)
class Judged:
    """A figure of the split (`name` empty) or of a class.

    `value` is what was judged, which `on` names: the figure, or the lower or upper end of its interval.
    """

    name: str
    estimate: Estimate
    on: Literal["value", "lower", "upper"]
    value: float
    holds: bool


@dataclass(frozen=True)
class Unjudged:
    """A figure that cannot be judged, and why."""

    name: str
    why: NotRun


def worst_first(gate: FigureGate, cases: Sequence[Judged | Unjudged]) -> list[Judged]:
    """The judged ones, least slack first."""
    return sorted((case for case in cases if isinstance(case, Judged)), key=lambda case: gate.slack(case.value))


def of_one(gate: FigureGate, case: Judged | Unjudged) -> str:
    """One figure against the threshold."""
    subject = _subject(gate) + (f" of {case.name}" if case.name else "")
    if isinstance(case, Unjudged):
        return f"{subject} cannot be judged: {case.why.reason}."
    link = "as asked:" if case.holds else "but should be"
    return f"{subject} is {_figure(gate, case)}, {link} {_condition(gate, case)}."


def of_every_class(gate: FigureGate, cases: Sequence[Judged | Unjudged], without_images: int) -> str:
    """All classes with images against one threshold, and how many have none."""
    judged, n = worst_first(gate, cases), len(cases)
    failed = [f"{case.name} {_figure(gate, case)}" for case in judged if not case.holds]
    unjudged_cases = [case for case in cases if isinstance(case, Unjudged)]
    unjudged = of_unjudged(unjudged_cases, n, without_images)
    end = f"; {without_images:,} {'has' if without_images == 1 else 'have'} none." if without_images else "."
    if failed:
        tail = f"; it {unjudged}" if unjudged_cases else ""
        condition = _condition(gate, judged[0])
        of = _of_classes(n, without_images)
        return (
            f"{_subject(gate)} should be {condition} but is not for {len(failed)} of {of}: {_listed(failed)}{tail}{end}"
        )
    if unjudged_cases:
        tail = f"; for the other {len(judged)} it is {_condition(gate, judged[0])}, as asked" if judged else ""
        return f"{_subject(gate)} {unjudged}{tail}{end}"
    worst = f"{judged[0].name} with {_figure(gate, judged[0])}"
    of = _of_classes(n, without_images)
    return f"{_subject(gate)} is {_condition(gate, judged[0])} for all {of}, as asked; the worst is {worst}{end}"


def of_unjudged(missing: Sequence[Unjudged], n: int, without_images: int) -> str:
    """For which of the n classes a gate cannot be judged."""
    named = [f"{case.name} ({case.why.reason})" for case in missing]
    return f"cannot be judged for {len(missing)} of {_of_classes(n, without_images)}: {_listed(named)}"


def _of_classes(n: int, without_images: int) -> str:
    return f"{_plural(n, 'class')}{' with images' if without_images else ''}"


def of_verdict(counted: int, failed: Sequence[str], missing: Sequence[str], warned: Sequence[str]) -> str:
    """The run as a whole: gates that count, then warnings."""
    parts = []
    if failed:
        parts.append(f"{len(failed)} of {_plural(counted, 'gate')} failed: {_listed(failed)}")
    if missing:
        parts.append(f"{len(missing)} of {_plural(counted, 'gate')} could not be computed: {_listed(missing)}")
    if not parts:
        parts.append(f"{counted} of {_plural(counted, 'gate')} passed" if counted else "No gate counts, all only warn")
    if warned:
        parts.append(f"{_plural(len(warned), 'warning')}: {_listed(warned)}")
    return "; ".join(parts) + "."


def settle(gate: FigureGate, judged: Sequence[Judged]) -> str:
    """How many images would decide the gate if the figures stayed; `judged` is not empty."""
    undecided = [case for case in judged if not is_settled(case.estimate, gate.threshold)]
    # One class that surely fails settles the whole gate.
    if any(not gate.holds(case.estimate.value) for case in judged if case not in undecided) or not undecided:
        return "already settled: the interval lies on one side of the threshold"
    if any(case.estimate.low is None or case.estimate.high is None for case in undecided):
        return "unknown: there is no interval"
    needed = [(images_needed(case.estimate, gate.threshold), case.name) for case in undecided]
    counts = [(count, name) for count, name in needed if count is not None]
    if len(counts) < len(needed):
        return "never settled if the figure stays: it is the threshold itself"
    count, name = max(counts)
    noun = {"recall": f"images of {name}", "precision": f"images called {name}"}.get(gate.metric, "images")
    return f"settled with about {_rounded_up(count):,} {noun}"


def _subject(gate: FigureGate) -> str:
    name = spoken(gate.metric)
    return f"{name[0].upper()}{name[1:]} on {gate.split}"


def _condition(gate: FigureGate, case: Judged) -> str:
    """The condition, e.g. "at least 90 %"."""
    number = f"{100 * gate.threshold:g} %" if case.estimate.successes is not None else f"{gate.threshold:g}"
    end = "" if case.on == "value" else f" at the {case.on} end of its interval"
    return f"{OPERATORS[gate.op][1]} {number}{end}"


def _figure(gate: FigureGate, case: Judged) -> str:
    """The number with interval and denominator, in as many digits as tell it from the threshold."""
    estimate, share = case.estimate, case.estimate.successes is not None
    distinct = (d for d in range(3, 9) if round(case.value, d) != round(gate.threshold, d))
    digits = 3 if case.value == gate.threshold else next(distinct, 9)

    def digits_of(number: float) -> str:
        return f"{100 * number:.{digits - 2}f} %" if share else f"{number:.{digits}f}"

    of = f"{estimate.successes:,} of {estimate.n:,} images" if share else f"{estimate.n:,} images"
    if estimate.low is None or estimate.high is None:
        return f"{digits_of(estimate.value)} ({of}; no interval)"
    low = digits_of(estimate.low).removesuffix(" %")
    return f"{digits_of(estimate.value)} ({of}; 95 % interval {low}–{digits_of(estimate.high)})"


def _listed(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _plural(n: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{n} {noun}" if n == 1 else f"{n} {plural}"


def _rounded_up(count: int) -> int:
    """To two digits, e.g. 1234 -> 1300."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step
