"""Thresholds -> PASS / FAIL / NOT_RUN, and the exit code.

How a gate is written stands in `config.gates`. Gates fail closed: what could not be measured, or is no number, is
NOT_RUN and never a pass.
"""

from fruitaudit.gates.check import asked_top_k, check_gates
from fruitaudit.gates.counts import Counts, foretold
from fruitaudit.gates.judging import judge

__all__ = ["Counts", "asked_top_k", "check_gates", "foretold", "judge"]
