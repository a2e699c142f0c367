"""All that findings are made of, and how their numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fruitaudit.diagnosis.data_checks.labels import LabelCheck
from fruitaudit.diagnosis.data_checks.variety import Variety
from fruitaudit.diagnosis.gap.measuring import Factors
from fruitaudit.records.attacks import Shortcut
from fruitaudit.records.data_checks import DataCheck, DataCheckNotRun, PreprocessingTrial
from fruitaudit.records.diagnosis import Decomposition, Effect, EffectNotRun
from fruitaudit.records.evaluation import Predictions


@dataclass(frozen=True)
class DiagnosisEvidence:
    """All that findings are made of."""

    listings: Sequence[DataCheck | DataCheckNotRun]
    labels: Sequence[LabelCheck]
    trials: Sequence[PreprocessingTrial]
    effects: Sequence[Effect | EffectNotRun]
    decompositions: Sequence[Decomposition]
    factors: Mapping[str, Factors]
    varieties: Sequence[Variety]
    shortcuts: Sequence[Shortcut]
    predictions: Mapping[str, Predictions]
    lab: str


def points(value: float) -> str:
    """0.384 -> "38 points"; under ten, one decimal."""
    number = 100 * value
    return f"{number:.0f} points" if abs(number) >= 10 else f"{number:.1f} points"
