"""Thresholds -> PASS / FAIL / NOT_RUN, and the exit code.

A gate is `metric[split] OP number`, or `metric[split][Class Name] OP number` for a figure of one class, [*] for every
class; or, on explanations, `verdict[METHOD] == read` and `faithfulness[METHOD] >= number`. Gates fail closed: what
could not be measured, or is no number, is NOT_RUN and never a pass.
"""

from collections.abc import Sequence

from fruitaudit.config.schema import GateSettings
from fruitaudit.gates.grammar import Gate, asked_top_k, check_gates, parse_gate
from fruitaudit.gates.judging import judge
from fruitaudit.gates.readings import check_reading_gate, parse_reading_gate


def check_all_gates(
    gates: Sequence[GateSettings], splits: Sequence[str], class_names: Sequence[str], methods: Sequence[str]
) -> None:
    """Raise ConfigError for the first gate that cannot be read, or names a split, class or method that is not there."""
    for settings in gates:
        if about_reading := parse_reading_gate(settings):
            check_reading_gate(about_reading, methods)
        else:
            check_gates([settings], splits, class_names)


def gates_on_figures(gates: Sequence[GateSettings]) -> list[GateSettings]:
    """Those about splits, not about explanations."""
    return [settings for settings in gates if parse_reading_gate(settings) is None]


__all__ = ["Gate", "asked_top_k", "check_all_gates", "check_gates", "gates_on_figures", "judge", "parse_gate"]
