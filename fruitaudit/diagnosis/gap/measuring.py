"""All suspected causes of one lab-to-field contrast, each measured: a change with the field's own dose, or why not."""

from __future__ import annotations

from dataclasses import dataclass

from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.factors.base import Change, Measurements
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun


@dataclass(frozen=True)
class Factors:
    """By factor, what can be done to lab images, and why the rest cannot."""

    changes: dict[str, Change]
    not_run: dict[str, NotRun]
    measurements: Measurements

    def undo(self, factor: str) -> Change | NotRun:
        """The change of field images that takes `factor` back, or why there is none."""
        undo = registry.factors()[factor].undo
        return (
            undo(self.measurements) if undo else NotRun("no operation on a photo takes it back", code="not_applicable")
        )

    def remedy(self, factor: str) -> Remedy:
        """What to do about `factor`, at the dose that was measured."""
        remedy = registry.factors()[factor].remedy
        if remedy is None:
            raise ValueError(f"{factor} is a probe: nothing is to be done about it")
        change = self.changes.get(factor)
        return remedy(self.measurements, change.dose if change else "")


def measure_factors(pair: SplitPair) -> Factors:
    """Every cause at the field's dose."""
    measurements = Measurements(pair, registry.factors())
    results = {factor.name: measurements.change(factor.name) for factor in registry.suspects()}
    return Factors(
        {name: change for name, change in results.items() if isinstance(change, Change)},
        {name: reason for name, reason in results.items() if isinstance(reason, NotRun)},
        measurements,
    )
