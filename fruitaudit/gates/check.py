"""What can be seen of gates before a model is opened: names that are not there, and figures that are not computed."""

from __future__ import annotations

from collections.abc import Sequence

from fruitaudit.config.schema import GateSettings
from fruitaudit.config.spelling import nearest
from fruitaudit.errors import ConfigError
from fruitaudit.records.conditions import Baseline, ExplanationGate, FigureGate
from fruitaudit.records.metrics import TOP_K
from fruitaudit.records.states import NotRun


def check_gates(gates: Sequence[GateSettings], class_names: Sequence[str], methods: Sequence[str]) -> None:
    """Raise ConfigError for the first gate that names a class or method that is not there, or cannot be judged yet."""
    for gate in (settings.gate for settings in gates):
        if isinstance(gate, ExplanationGate):
            if gate.method not in methods:
                hint = nearest(gate.method, methods)
                raise ConfigError(f"gate {gate.text!r}: no group asks for {gate.method}; {hint}")
            continue
        if reason := unsupported(gate):
            raise ConfigError(f"gate {gate.text!r}: {reason.reason}")
        if isinstance(gate.class_name, str) and gate.class_name not in class_names:
            hint = nearest(gate.class_name, class_names)
            raise ConfigError(f"gate {gate.text!r}: the model has no class {gate.class_name}; {hint}")


def unsupported(gate: FigureGate) -> NotRun | None:
    """What the gate asks for that no audit computes yet."""
    if gate.slice is not None:
        return NotRun(f"figures of a slice are not computed yet; leave out [{gate.slice.column}=...]", "not_applicable")
    if isinstance(gate.bound, Baseline):
        return NotRun("figures are not compared with a baseline yet; write a number in its place", "no_baseline")
    return None


def asked_top_k(gates: Sequence[GateSettings]) -> tuple[int, ...]:
    """Each k whose top-k accuracy `evaluate` must measure: 3, and what the gates ask for."""
    metrics = [settings.gate.metric for settings in gates if isinstance(settings.gate, FigureGate)]
    matches = (TOP_K.fullmatch(metric) for metric in metrics)
    return tuple(sorted({3, *(int(match[1]) for match in matches if match)}))
