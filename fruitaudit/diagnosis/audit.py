"""The experiments within an audit: how many images they take, and what they are kept under."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from fruitaudit.config.schema import Config
from fruitaudit.diagnosis.run import Budget, diagnose
from fruitaudit.opening import Opened
from fruitaudit.prediction import Predicted
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.states import NotRun
from fruitaudit.runtime import StageCache, Streams, sha256_of, versions
from fruitaudit.steps import Step

BUDGETS = {"quick": Budget(images=100, checked=500, attacked=30), "standard": Budget()}


def diagnosis_of(
    config: Config, opened: Opened, predicted: Mapping[str, Predicted], streams: Streams, cache: StageCache, step: Step,
    out: Path,
) -> Diagnosis | NotRun:  # fmt: skip
    """Make the experiments that the config asks for, or read them from the cache; their pictures go to `out`."""
    if config.diagnosis == "off":
        return NotRun("no experiment was made: the config says diagnosis: off")
    budget = BUDGETS[config.diagnosis]
    key = {
        "model": opened.classifier.sha256,
        "splits": [(p.summary.name, p.summary.role, p.summary.fingerprint) for p in predicted.values()],
        "preprocessing": str(opened.preprocessing),
        "budget": str(budget),
        "claims": config.claims,
        "seed": streams.seed,
        "versions": versions(),
    }
    predictions = {name: p.predictions for name, p in predicted.items()}
    # Beside the record, so that the cache answers with both.
    drawn = cache.folder / f"diagnosis-{sha256_of(key)[:32]}"
    found, step.cached = cache.record(
        "diagnosis", key, Diagnosis, lambda: diagnose(opened, predictions, streams, budget, config.claims, drawn)
    )
    if drawn.exists():
        shutil.copytree(drawn, out, dirs_exist_ok=True)
    return found
