"""The experiments within an audit: how many images they take, and what they are kept under."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fruitaudit.audit.code import diagnosis_code
from fruitaudit.audit.opening import Opened
from fruitaudit.audit.prediction import PredictedSplit
from fruitaudit.audit.steps import StepProgress
from fruitaudit.config.schema import Config
from fruitaudit.diagnosis.attacks.turning import Negatives, negatives_of
from fruitaudit.diagnosis.budget import BUDGETS
from fruitaudit.diagnosis.run import diagnose
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow
from fruitaudit.records.packing import unpack
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.cache import StageCache
from fruitaudit.runtime.hashes import sha256_of, sha256_of_file
from fruitaudit.runtime.streams import Streams


def diagnosis_of(
    config: Config, opened: Opened, predicted: Mapping[str, PredictedSplit], streams: Streams, cache: StageCache,
    step: StepProgress, out: Path, explanations: Sequence[ExplanationRow | ExplanationNotRun] = (),
) -> Diagnosis | NotRun:  # fmt: skip
    """Make the experiments that the config asks for, or read them from the cache; their files go to `out`.

    `explanations` lie in `out`: attacks are laid beside the pertinent negatives among them.
    """
    if config.diagnosis == "off":
        return NotRun("no experiment was made: the config says diagnosis: off", code="off")
    budget = BUDGETS[config.diagnosis]
    counterfactual_rows = [r for r in explanations if isinstance(r, ExplanationRow) and r.kind == "counterfactuals"]
    key = {
        "model": (opened.classifier.sha256, opened.class_names),
        "splits": [(p.summary.name, p.summary.role, p.summary.fingerprint) for p in predicted.values()],
        "preprocessing": asdict(opened.preprocessor),
        "budget": str(budget),
        "claims": [claim.text for claim in config.claims],
        "negatives": [(row.method, row.sample_ids, sha256_of_file(out / row.file)) for row in counterfactual_rows],
        "lab": config.lab,
        "seed": streams.seed,
        "code": diagnosis_code(opened.classifier),
    }
    predictions = {name: p.predictions for name, p in predicted.items()}
    # Beside the record, so that the cache answers with both.
    pictures = cache.folder / f"diagnosis-{sha256_of(key)[:32]}"

    def run_experiments() -> Diagnosis:
        negatives = [negative for row in counterfactual_rows for negative in _negatives(out, row)]
        return diagnose(opened, predictions, streams, budget, config.claims, pictures, negatives, config.lab)

    diagnosis, step.cached = cache.record("diagnosis", key, Diagnosis, run_experiments)
    if pictures.exists():
        shutil.copytree(pictures, out, dirs_exist_ok=True)
    return diagnosis


def _negatives(out: Path, row: ExplanationRow) -> list[Negatives]:
    with np.load(out / row.file, allow_pickle=False) as stored:
        return list(negatives_of(row, unpack(stored)))
