"""A factor in a file of its own is in claims, tables, order, effects, findings and remedies, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from diagnosis.planted_cases import COLOURS, discs, split_pair

from fruitaudit.config.claims import parse_claim
from fruitaudit.diagnosis import factors as package
from fruitaudit.diagnosis.claims import judge_claims
from fruitaudit.diagnosis.evidence import DiagnosisEvidence
from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.gap.change import PredictionCache, in_order
from fruitaudit.diagnosis.gap.decomposition import decompose
from fruitaudit.diagnosis.gap.effects import measure_effects
from fruitaudit.diagnosis.gap.measuring import measure_factors
from fruitaudit.diagnosis.ranking import rank
from fruitaudit.records.diagnosis import Decomposition, Effect
from fruitaudit.records.evaluation import Predictions

NAMES = ("red", "green", "yellow", "violet")


@pytest.fixture
def vignette(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file in the folder of the factors."""
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(Path(__file__).parent / "more_factors")])
    registry.factors.cache_clear()
    yield
    registry.factors.cache_clear()
    sys.modules.pop(f"{registry.PACKAGE}.vignette")
    del package.vignette


class Dazzled:
    """Names the nearest of four colours; where the corners are dark, always the first."""

    classifier = SimpleNamespace(n_classes=4)

    def predicted(self, pixels: np.ndarray) -> np.ndarray:
        middle = pixels[:, 20:28, 20:28].mean(axis=(1, 2))
        predicted = np.linalg.norm(middle[:, None] - COLOURS[None], axis=2).argmin(axis=1)
        return np.where(pixels[:, 2:4, 2:4].mean(axis=(1, 2, 3)) < 252, 0, predicted)


def shaded(pixels: np.ndarray) -> np.ndarray:
    y, x = np.indices(pixels.shape[1:3])
    corners = np.minimum(y, y[::-1]) + np.minimum(x, x[:, ::-1]) < 10
    return np.where(corners[..., None], np.maximum(pixels, 7) - 7, pixels).astype(np.uint8)


@pytest.mark.usefixtures("vignette")
def test_one_more_file_is_one_more_cause() -> None:
    assert registry.causes()["vignette"] == ("vignette",)
    assert registry.causes()["lens"] == ("vignette",)
    assert registry.causes()["camera"] == ("light", "blur", "noise", "jpeg", "vignette")
    assert [factor.name for factor in registry.suspects()][-1] == "vignette"
    assert "| `vignette` | Dark corners | the brightness of the corners |" in registry.table()


@pytest.mark.usefixtures("vignette")
def test_it_is_measured_undone_found_and_mended() -> None:
    pair, model = split_pair(shaded(discs(seed=5)[0])), Dazzled()
    for masked_split in (pair.lab, pair.field):
        object.__setattr__(masked_split.material, "predicted", model.predicted(masked_split.material.pixels))
    factors = measure_factors(pair)
    assert list(factors.changes) == ["vignette"], factors.changes
    blur = factors.changes["vignette"].__class__("blur", "none", lambda layers, _: layers)
    assert [change.factor for change in in_order([factors.changes["vignette"], blur])] == ["blur", "vignette"]
    cache = PredictionCache(model, pair.lab, tuple(factors.changes.values()))
    effects = list(measure_effects(cache, pair, factors))
    by_name = {(e.factor, e.direction): e for e in effects if isinstance(e, Effect)}
    assert by_name["vignette", "toward_field"].title == "Dark corners"
    assert by_name["vignette", "toward_field"].change.value == pytest.approx(-0.75)
    assert by_name["vignette", "undo_in_field"].change.value == pytest.approx(0.75)
    gap = decompose(cache, pair, factors, effects)
    assert isinstance(gap, Decomposition)
    assert [(s.factor, s.title, s.counts) for s in gap.shares] == [("vignette", "Dark corners", True)]
    split_predictions = {
        s.material.split: predictions(s.material.labels, s.material.predicted) for s in (pair.lab, pair.field)
    }
    [finding] = rank(
        DiagnosisEvidence([], [], [], effects, [gap], {"field": factors}, [], [], split_predictions, "test")
    )
    assert finding.slug == "vignette"
    assert finding.sentence.startswith("Dark corners of the photos: this explains 75 points")
    assert finding.remedy.sentence == "Take another lens; measured: corners darker by 7 of 255."
    for claim, state in (("cause: lens", "supported"), ("cause: camera", "supported"), ("cause: blur", "refuted")):
        [result] = judge_claims([parse_claim(claim)], split_predictions, [gap], [])
        assert result.state == state, result


def predictions(labels: np.ndarray, predicted: np.ndarray) -> Predictions:
    p = np.eye(4, dtype=np.float32)[predicted]
    return Predictions("field", "field", NAMES, tuple(map(str, range(len(labels)))), labels, p, p)


def test_without_its_file_it_is_gone() -> None:
    assert "vignette" not in registry.causes()
