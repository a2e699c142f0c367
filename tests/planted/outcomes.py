"""What the diagnosis says of a planted world, and the tables of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from planted.cases import PlantedCase, lay_out
from planted.rendering import MODELS, Pictures, load_model

from fruitaudit.audit.opening import open_inputs
from fruitaudit.audit.prediction import predict
from fruitaudit.config.load import load_config
from fruitaudit.diagnosis.budget import SampleSizes
from fruitaudit.diagnosis.run import diagnose
from fruitaudit.records.diagnosis import Diagnosis, Effect
from fruitaudit.runtime.cache import StageCache
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True)
class Outcome:
    case: PlantedCase
    diagnosis: Diagnosis
    cpu_s: float

    @property
    def first(self) -> str:
        return self.diagnosis.findings[0].slug if self.diagnosis.findings else "nothing"

    @property
    def causes(self) -> list[str]:
        return [f.slug for f in self.diagnosis.findings if f.severity == "cause"]

    @property
    def passed(self) -> bool:
        return self.first in self.case.expected if self.case.expected else not self.causes


def diagnose_case(case: PlantedCase, folder: Path) -> Outcome:
    config = load_config(lay_out(case, folder)).config
    begin, streams = time.process_time(), Streams(config.seed)
    opened = open_inputs(config, streams)
    cache = StageCache(folder / "cache")
    predictions = {
        split.name: predict(opened, split, cache, fail_on_bad=True, advance=lambda _: None).predictions
        for split in opened.splits
    }
    budget = SampleSizes(images=128, checked_images=800, attacked_images=0)
    return Outcome(case, diagnose(opened, predictions, streams, budget), time.process_time() - begin)


def table(outcomes: Mapping[str, Outcome]) -> str:
    rows = [f"{'planted':32}{'first finding':22}{'effect':>7}  {'found':6}{'cpu s':>6}  other causes"]
    for name, outcome in outcomes.items():
        findings = outcome.diagnosis.findings
        effect = f"{100 * findings[0].effect:.1f}" if findings else ""
        others = ", ".join(outcome.causes[1:] if outcome.case.expected else outcome.causes)
        verdict = "yes" if outcome.passed else "NO"
        rows.append(f"{name:32}{outcome.first:22}{effect:>7}  {verdict:6}{outcome.cpu_s:6.1f}  {others}")
    return "\n".join(rows)


def twins_table(
    outcomes: Mapping[str, Outcome], names: list[str], twins: Callable[[str], tuple[Pictures, Pictures]]
) -> tuple[str, list[str]]:
    """Estimated and true effect of each factor, and those missed. `twins` gives the scenes without and with it."""
    rows, misses = [f"{'factor':14}{'true':>7}{'estimate':>10}  interval"], []
    for name in names:
        effect = _toward(outcomes[name].diagnosis, name)
        true = _true_effect(outcomes[name].case.model, *twins(name))
        if effect is None:
            misses.append(name)
            rows.append(f"{name:14}{100 * true:7.1f}  not measured")
            continue
        low, high = effect.change.low or 0, effect.change.high or 0
        near = low <= true <= high or abs(true - effect.change.value) <= 0.08
        rows.append(f"{name:14}{100 * true:7.1f}{100 * effect.change.value:10.1f}  {100 * low:.1f} to {100 * high:.1f}"
                    f"{'' if near else '   MISSED'}")  # fmt: skip
        misses += [] if near else [name]
    return "\n".join(rows), misses


def _toward(diagnosis: Diagnosis, factor: str) -> Effect | None:
    effects = (e for e in diagnosis.effects if isinstance(e, Effect) and e.direction == "toward_field")
    return next((e for e in effects if e.factor == factor), None)


def _true_effect(model: str, without: Pictures, with_it: Pictures) -> float:
    network = load_model(MODELS / f"{model}.npz")
    accuracies = [(network.predict(part.pixels / np.float32(255), verbose=0).argmax(axis=1) == part.labels).mean()
             for part in (without, with_it)]  # fmt: skip
    return float(accuracies[1] - accuracies[0])
