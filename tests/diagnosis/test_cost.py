"""What is foretold of the passes, beside what is counted."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path

import cv2
import numpy as np
import pytest
from planted.cases import PlantedCase, lay_out
from planted.rendering import FACTORS, Pictures, Toggle, both, scenes, small

from fruitaudit.audit.opening import open_inputs
from fruitaudit.audit.prediction import predict
from fruitaudit.config.load import load_config
from fruitaudit.demo.fruit.scene import Light, Scene
from fruitaudit.diagnosis.budget import BUDGETS
from fruitaudit.diagnosis.cost import cost
from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.measuring import Factors, measure_factors
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.diagnosis.run import diagnose
from fruitaudit.records.passes import Passes
from fruitaudit.runtime.cache import StageCache
from fruitaudit.runtime.streams import Streams


def darker_and_smaller(scene: Scene, rng: np.random.Generator) -> Scene:
    lamp = Light(float(rng.uniform(0.5, 0.7)), float(rng.uniform(0.3, 0.5)), (-0.6, 0.5, 0.5), 0.6)
    return replace(scene, light=lamp, scale=float(rng.uniform(0.22, 0.3)))


def larger(split: str, per_class: int, toggle: Toggle) -> Pictures:
    """Files of 60 x 54 pixels."""
    pictures = Pictures.of(scenes(split, per_class, toggle))
    files = [cv2.resize(image, (60, 54), interpolation=cv2.INTER_CUBIC) for image in pictures.pixels]
    return Pictures(np.stack(files), pictures.labels)


def total(level: str, splits: list[tuple[str, int]], negatives: int = 0) -> Passes:
    return reduce(add, (part.passes for part in cost(level, splits, (48, 48, 3), negatives=negatives)))


def dimmed(layers: Layers, _: np.ndarray) -> Layers:
    return replace(layers.flattened(), objects=layers.flattened().objects / 2)


@pytest.mark.slow
def test_the_passes_foretold_are_an_upper_bound_and_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that differs in six factors, so that all 64 subsets are tried, and files that are made smaller."""

    def six(split_pair: SplitPair) -> Factors:
        factors = measure_factors(split_pair)
        return replace(factors, changes=factors.changes | {"noise": Change("noise", "half as bright", dimmed)})

    monkeypatch.setattr("fruitaudit.diagnosis.run.measure_factors", six)
    names = ("background", "hue", "several", "wetness")
    store = reduce(both, (FACTORS[name] for name in names), darker_and_smaller)
    case = PlantedCase("store", (), "small", lambda: larger("train", 8, small), lambda: larger("test", 12, small),
                  lambda: larger("field", 12, store))  # fmt: skip
    config = load_config(lay_out(case, tmp_path)).config
    streams = Streams(config.seed)
    opened = open_inputs(config, streams)
    cache = StageCache(tmp_path / "cache")
    predictions = {s.name: predict(opened, s, cache, fail_on_bad=True, advance=lambda _: None).predictions
            for s in opened.splits}  # fmt: skip
    before = opened.classifier.passes.snapshot()
    diagnosis = diagnose(opened, predictions, streams, BUDGETS["quick"], out=tmp_path / "out")
    passes = opened.classifier.passes.since(before)
    expected = total("quick", [(p.role, len(p.labels)) for p in predictions.values()])
    assert diagnosis.decompositions[0].method.startswith("all 64 subsets"), diagnosis.decompositions[0].method
    assert passes.forward <= expected.forward <= 1.3 * passes.forward
    assert passes.gradient <= expected.gradient


def test_the_level_and_the_images_bound_the_cost() -> None:
    splits = [("reference", 5000), ("test", 5000), ("field", 5000)]
    assert total("standard", splits).forward > total("quick", splits).forward
    assert total("quick", splits) == total("quick", [(role, 500) for role, _ in splits])
    assert cost("off", splits, (48, 48, 3)) == ()


def test_pertinent_negatives_cost_gradients_for_at_most_twelve_images() -> None:
    splits = [("test", 50), ("field", 50)]
    assert total("quick", splits, 1).gradient > total("quick", splits).gradient
    assert total("quick", splits, 12) == total("quick", splits, 500)


def test_work_on_images_grows_with_their_area() -> None:
    small, large = (sum(part.seconds for part in cost("standard", [("test", 320), ("field", 320)], (side, side, 3)))
                    for side in (100, 200))  # fmt: skip
    assert large == pytest.approx(4 * small)


def test_without_a_lab_split_only_the_data_is_looked_through() -> None:
    assert [part.title for part in cost("quick", [("field", 50)], (48, 48, 3))] == ["look through the data"]
