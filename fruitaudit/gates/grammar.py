"""How a gate is written, and what to say where it is written wrong."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from fruitaudit.config.schema import GateSettings
from fruitaudit.errors import ConfigError
from fruitaudit.evaluation.names import PER_CLASS, SCALARS, TOP_K

EVERY_CLASS = "*"
_SHOWN = 30
"""Names that a sentence about a wrong one lists."""
OPERATORS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    ">=": (operator.ge, "at least"),
    ">": (operator.gt, "above"),
    "<=": (operator.le, "at most"),
    "<": (operator.lt, "below"),
}

_GATE = re.compile(
    r"\s*(?P<metric>\w+)\s*\[(?P<split>[^\[\]]*)\]\s*(?:\[(?P<class>.*)\]\s*)?(?P<op>>=|<=|>|<)(?P<number>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Gate:
    """A gate that was read. `class_name` is None for a figure of the whole split, "*" for every class."""

    settings: GateSettings
    metric: str
    split: str
    class_name: str | None
    op: str
    threshold: float

    def holds(self, value: float) -> bool:
        """Whether the value is on the right side of the threshold; never for NaN."""
        return OPERATORS[self.op][0](value, self.threshold)

    def slack(self, value: float) -> float:
        """How far the value is on the right side; the least is the worst offender."""
        return value - self.threshold if self.op.startswith(">") else self.threshold - value


def parse_gate(settings: GateSettings) -> Gate:
    """Read the expression. Raises ConfigError, which says what is valid."""
    text = settings.gate
    found = _GATE.fullmatch(text)
    if not found:
        raise ConfigError(
            f"gate {text!r} cannot be read: write metric[split] >= 0.9 or metric[split][Class Name] >= 0.9, "
            f"with one of {', '.join(OPERATORS)}"
        )
    metric, split, class_name = found["metric"], found["split"].strip(), found["class"]
    _check_metric(text, metric, split, class_name)
    return Gate(settings, metric, split, class_name, found["op"], threshold_of(text, found["number"].strip()))


def check_gates(gates: Sequence[GateSettings], split_names: Sequence[str], class_names: Sequence[str]) -> None:
    """Raise ConfigError for the first gate that cannot be read, or names a split or class that is not there."""
    for settings in gates:
        gate = parse_gate(settings)
        if gate.split not in split_names:
            hint = nearest(gate.split, split_names)
            raise ConfigError(f"gate {settings.gate!r}: there is no split {gate.split}; {hint}")
        if gate.class_name is not None and gate.class_name not in (EVERY_CLASS, *class_names):
            hint = nearest(gate.class_name, class_names)
            raise ConfigError(f"gate {settings.gate!r}: the model has no class {gate.class_name}; {hint}")


def asked_top_k(gates: Sequence[GateSettings]) -> tuple[int, ...]:
    """Each k whose top-k accuracy `evaluate` must measure: 3, and what the gates ask for."""
    found = (TOP_K.fullmatch(parse_gate(gate).metric) for gate in gates)
    return tuple(sorted({3, *(int(match[1]) for match in found if match)}))


def _check_metric(text: str, metric: str, split: str, class_name: str | None) -> None:
    if metric in PER_CLASS:
        if not class_name:
            raise ConfigError(
                f"gate {text!r}: {metric} is a figure of one class; write {metric}[{split}][*] for every class, "
                "or the name of one class in place of the *"
            )
    elif metric not in SCALARS and not TOP_K.fullmatch(metric):
        hint = nearest(metric, (*SCALARS, "top3_accuracy", *PER_CLASS))
        raise ConfigError(f"gate {text!r}: there is no metric {metric}; {hint}")
    elif class_name is not None:
        raise ConfigError(
            f"gate {text!r}: {metric} is a figure of the whole split; leave out [{class_name}], "
            f"or judge one of {', '.join(PER_CLASS)}"
        )


def threshold_of(text: str, number: str) -> float:
    """The number of a gate. Raises ConfigError where it is none."""
    try:
        threshold = float(number)
    except ValueError:
        threshold = float("nan")
    if not isfinite(threshold):
        raise ConfigError(f"gate {text!r}: {number!r} is no finite number; write one such as 0.9, without a % sign")
    return threshold


def nearest(name: str, valid: Sequence[str]) -> str:
    """The nearest spelling, and those that there are."""
    lower = {candidate.lower(): candidate for candidate in valid}
    close = get_close_matches(name.lower(), lower, n=1)
    more = f" and {len(valid) - _SHOWN} more" if len(valid) > _SHOWN else ""
    known = f"known are {', '.join(valid[:_SHOWN])}{more}"
    return f"did you mean {lower[close[0]]}? ({known})" if close else known
