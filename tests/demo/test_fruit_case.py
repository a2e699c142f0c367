"""The shipped models keep what the case promises, and the case on disk is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fruitaudit.config.load import load_config
from fruitaudit.data.splits import open_split
from fruitaudit.demo import train
from fruitaudit.demo.fruit import case
from fruitaudit.demo.fruit.bodies import CLASSES
from fruitaudit.demo.fruit.render import render
from fruitaudit.demo.fruit.scene import lab_scene, store_scene
from fruitaudit.pipeline import check
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.intervals import wilson

pytestmark = pytest.mark.slow

FRUIT = Path(case.__file__).parent


def shipped(name: str) -> Any:
    from fruitaudit.models.keras.backend import keras

    return keras.models.load_model(FRUIT / name, compile=False)


@pytest.fixture(scope="module")
def classifier() -> Any:
    return shipped(case.CLASSIFIER)


@pytest.fixture(scope="module")
def fresh() -> tuple[FloatArray, IntArray]:
    """Photographs that neither training nor the shipped case has seen: 192 of the lab, then 160 of the store."""
    lab = [lab_scene(name, "fresh", i, 77) for name in CLASSES for i in range(12)]
    return train.images_of(lab + [store_scene(name, i, 77) for name in CLASSES for i in range(10)])


def right(model: Any, images: FloatArray, labels: IntArray) -> Estimate:
    return wilson(int((model.predict(images, verbose=0).argmax(axis=1) == labels).sum()), len(labels))


def test_the_files_are_small_and_hold_the_chapters_models(classifier: Any) -> None:
    assert classifier.count_params() == 526_006
    assert shipped(case.AUTOENCODER).count_params() == 5_828
    assert [layer.name for layer in classifier.layers] == [layer.name for layer in train.classifier().layers]
    assert (FRUIT / case.CLASSIFIER).stat().st_size <= 2.3e6
    assert (FRUIT / case.AUTOENCODER).stat().st_size <= 1e5


def test_the_lab_is_easy_and_the_store_is_not(classifier: Any, fresh: tuple[FloatArray, IntArray]) -> None:
    """With n = 192 and 160 the intervals are about one point and seven points to either side."""
    images, labels = fresh
    lab, store = right(classifier, images[:192], labels[:192]), right(classifier, images[192:], labels[192:])
    assert lab.value >= 0.99, lab
    assert 0.20 <= store.value <= 0.45, store


def test_the_autoencoder_tells_fruit_from_noise(fresh: tuple[FloatArray, IntArray]) -> None:
    model, images = shipped(case.AUTOENCODER), fresh[0][:192:6]
    noise = np.random.default_rng(0).random(images.shape, dtype=np.float32)
    error, of_noise = (float(((model.predict(x, verbose=0) - x) ** 2).mean()) for x in (images, noise))
    assert error < 0.01
    assert of_noise > 5 * error


def test_a_case_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "N_LAB", 1)
    monkeypatch.setattr(case, "N_STORE", 1)
    config = load_config(case.make_case(tmp_path / "case", seed=3)).config
    # Every config beside it fits it: what is misspelt, or names a class or a split that is not there, is refused.
    for name in case.CONFIGS:
        check(load_config(tmp_path / "case" / name, ci=True).config)
    assert [(split.name, split.role) for split in config.splits] == [
        ("train", "reference"), ("test", "test"), ("store", "field")]  # fmt: skip
    assert all(gate.severity == "warn" for gate in config.gates)
    assert config.model.path.is_file()
    for settings in config.splits:
        split = open_split(settings, CLASSES)
        assert [sample.label for sample in split.samples] == list(range(16))
        assert not split.bad
        for sample in split.samples:
            pixels, mask = (np.asarray(cv2.imread(str(p), cv2.IMREAD_UNCHANGED)) for p in (sample.path, sample.mask))
            assert pixels.shape == (100, 100, 3)
            assert mask.shape == (100, 100)
            assert set(np.unique(mask)) <= {0, 255}
            if settings.role == "field":
                assert np.asarray(cv2.imread(str(sample.original))).shape == (400, 400, 3)
    # written as it was rendered, channels in order
    photo = cv2.cvtColor(np.asarray(cv2.imread(str(tmp_path / "case/store/Tomato/000.png"))), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(photo, render(store_scene("Tomato", 0, 3), 100)[0])
