"""The experiments within an audit: how many images they take, and what they are kept under."""

from __future__ import annotations

from collections.abc import Mapping

from fruitaudit.config.schema import Config
from fruitaudit.diagnosis.run import Budget, diagnose
from fruitaudit.opening import Opened
from fruitaudit.prediction import Predicted
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.states import NotRun
from fruitaudit.runtime import StageCache, Streams, versions
from fruitaudit.steps import Step

BUDGETS = {"quick": Budget(images=100, checked=500, attacked=30), "standard": Budget()}


def diagnosis_of(
    config: Config, opened: Opened, predicted: Mapping[str, Predicted], streams: Streams, cache: StageCache, step: Step
) -> Diagnosis | NotRun:
    """Make the experiments that the config asks for, or read them from the cache."""
    if config.diagnosis == "off":
        return NotRun("no experiment was made: the config says diagnosis: off")
    budget = BUDGETS[config.diagnosis]
    key = {
        "model": opened.classifier.sha256,
        "splits": [(p.summary.name, p.summary.role, p.summary.fingerprint) for p in predicted.values()],
        "preprocessing": str(opened.preprocessing),
        "budget": str(budget),
        "seed": streams.seed,
        "versions": versions(),
    }
    predictions = {name: p.predictions for name, p in predicted.items()}
    found, step.cached = cache.record(
        "diagnosis", key, Diagnosis, lambda: diagnose(opened, predictions, streams, budget)
    )
    return found
