"""Thresholds -> PASS / FAIL / NOT_RUN, and the exit code.

A gate is `metric[split] OP number`, or `metric[split][Class Name] OP number` for a figure of one class, [*] for every
class. Gates fail closed: what could not be measured, or is no number, is NOT_RUN and never a pass.
"""

from fruitaudit.gates.grammar import Gate, asked_top_k, check_gates, parse_gate
from fruitaudit.gates.judging import judge

__all__ = ["Gate", "asked_top_k", "check_gates", "judge", "parse_gate"]
