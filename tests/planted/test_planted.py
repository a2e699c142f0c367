"""Known causes, found or not: the first finding of each planted world, and silence in the clean ones."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pytest
from planted.cases import World, lay_out, pictures, worlds
from planted.kit import FACTORS, MODELS, load_model, small

from fruitaudit.config.load import load_config
from fruitaudit.diagnosis.budget import Budget
from fruitaudit.diagnosis.run import diagnose
from fruitaudit.opening import open_inputs
from fruitaudit.prediction import predict
from fruitaudit.records.diagnosis import Diagnosis, Effect
from fruitaudit.runtime import StageCache, Streams

WORLDS = {world.name: world for world in worlds()}
TWINS = [name for name in FACTORS if name != "unseen-variety"]


@dataclass(frozen=True)
class Outcome:
    world: World
    diagnosis: Diagnosis
    cpu_s: float

    @property
    def first(self) -> str:
        return self.diagnosis.findings[0].slug if self.diagnosis.findings else "nothing"

    @property
    def causes(self) -> list[str]:
        return [f.slug for f in self.diagnosis.findings if f.severity == "cause"]

    @property
    def found(self) -> bool:
        return self.first in self.world.expected if self.world.expected else not self.causes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return {name: _diagnosed(world, tmp_path_factory.mktemp("world")) for name, world in WORLDS.items()}


def _diagnosed(world: World, folder) -> Outcome:
    config = load_config(lay_out(world, folder)).config
    begin, streams = time.process_time(), Streams(config.seed)
    opened = open_inputs(config, streams)
    cache = StageCache(folder / "cache")
    predictions = {
        split.name: predict(opened, split, cache, fail_on_bad=True, advance=lambda _: None).predictions
        for split in opened.splits
    }
    budget = Budget(images=128, checked=800, attacked=0)
    return Outcome(world, diagnose(opened, predictions, streams, budget), time.process_time() - begin)


def _table(outcomes: Mapping[str, Outcome]) -> str:
    rows = [f"{'planted':32}{'first finding':22}{'effect':>7}  {'found':6}{'cpu s':>6}  other causes"]
    for name, outcome in outcomes.items():
        findings = outcome.diagnosis.findings
        effect = f"{100 * findings[0].effect:.1f}" if findings else ""
        others = ", ".join(outcome.causes[1:] if outcome.world.expected else outcome.causes)
        found = "yes" if outcome.found else "NO"
        rows.append(f"{name:32}{outcome.first:22}{effect:>7}  {found:6}{outcome.cpu_s:6.1f}  {others}")
    return "\n".join(rows)


def test_the_first_finding_names_the_planted_fault(outcomes: dict[str, Outcome], capsys) -> None:
    planted = [outcome for outcome in outcomes.values() if outcome.world.expected]
    with capsys.disabled():
        print("\n" + _table(outcomes))
    assert len(planted) == 17
    assert sum(outcome.found for outcome in planted) >= 15


def test_a_clean_world_has_no_cause(outcomes: dict[str, Outcome]) -> None:
    clean = {name: outcome.causes for name, outcome in outcomes.items() if not outcome.world.expected}
    assert len(clean) == 5
    assert clean == {name: [] for name in clean}


def test_twins_agree_with_the_estimated_effects(outcomes: dict[str, Outcome], capsys) -> None:
    """The same test scenes with the factor toggled by the renderer give its true effect."""
    rows = [f"{'factor':14}{'true':>7}{'estimate':>10}  interval"]
    misses = []
    for name in TWINS:
        effect = _toward(outcomes[name].diagnosis, name)
        true = _true_effect(name, outcomes[name].world.model)
        if effect is None:
            misses.append(name)
            rows.append(f"{name:14}{100 * true:7.1f}  not measured")
            continue
        low, high = effect.change.low or 0, effect.change.high or 0
        near = low <= true <= high or abs(true - effect.change.value) <= 0.08
        rows.append(f"{name:14}{100 * true:7.1f}{100 * effect.change.value:10.1f}  {100 * low:.1f} to {100 * high:.1f}"
                    f"{'' if near else '   MISSED'}")  # fmt: skip
        misses += [] if near else [name]
    with capsys.disabled():
        print("\n" + "\n".join(rows))
    assert set(misses) <= KNOWN_MISSES


KNOWN_MISSES: set[str] = set()
"""Factors whose effect the estimate does not reach."""


def _toward(diagnosis: Diagnosis, factor: str) -> Effect | None:
    effects = (e for e in diagnosis.effects if isinstance(e, Effect) and e.direction == "toward_field")
    return next((e for e in effects if e.factor == factor), None)


def _true_effect(factor: str, model: str) -> float:
    network = load_model(MODELS / f"{model}.npz")
    base = (small,) if model == "small" else ()
    right = []
    for toggles in (base, (*base, FACTORS[factor])):
        part = pictures("test", *toggles)
        called = network.predict(part.pixels / np.float32(255), verbose=0).argmax(axis=1)
        right.append((called == part.labels).mean())
    return float(right[1] - right[0])


def test_a_diagnosis_is_plain_json(outcomes: dict[str, Outcome]) -> None:
    text = json.dumps(asdict(outcomes["background"].diagnosis), allow_nan=False)
    assert json.loads(text)["findings"][0]["slug"] == "background"
