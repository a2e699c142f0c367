"""alibi's IntegratedGradients against the native one: equal on logits, and where its check is wrong, how.

Needs an interpreter that has alibi (constraints-alibi.txt): FRUITAUDIT_ALIBI_PYTHON names it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

L = keras.layers
SHAPE, N = (9, 7, 3), 4
HEADS = {"logits": L.Dense(3), "sigmoid": L.Dense(1, activation="sigmoid")}
PYTHON = os.environ.get("FRUITAUDIT_ALIBI_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="FRUITAUDIT_ALIBI_PYTHON names no interpreter that has alibi")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Models by head, images, and what alibi gives."""
    keras.utils.set_random_seed(1)
    models, folder = {}, tmp_path_factory.mktemp("alibi")
    for name, head in HEADS.items():
        body = [L.Input(SHAPE), L.Conv2D(4, 3, activation="softplus"), L.Flatten(), head]
        models[name] = Classifier.from_network(keras.Sequential(body))
    values = np.random.default_rng(1).uniform(0, 1, (N, *SHAPE)).astype(np.float32)
    weights = {
        f"{name}/{i}": w
        for name, explanation in models.items()
        for i, w in enumerate(explanation.network.get_weights())
    }
    np.savez(folder / "arrays.npz", images=values, **weights)
    child = Path(__file__).with_name("alibi_gradients_child.py")
    done = subprocess.run([PYTHON, "-I", str(child), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    images = Images(values, tuple("abcd"), np.zeros(3, np.float32), np.ones(3, np.float32))
    with np.load(folder / "found.npz") as results:
        return models, images, dict(results)


@pytest.mark.parametrize("k", [0, 1])
def test_maps_of_logits_are_equal_and_so_is_what_is_said_of_their_sum(both, k):
    models, images, theirs = both
    ours = IntegratedGradients(steps=200)(models["logits"], images, Targets(np.full(N, k)), Streams(0))
    np.testing.assert_allclose(ours.values, theirs[f"logits/{k}/maps"].sum(axis=-1), atol=1e-6)
    assert abs(theirs[f"logits/{k}/deltas"]).max() < 1e-5


@pytest.mark.parametrize("k", [0, 1])
def test_with_one_sigmoid_unit_alibi_calls_right_maps_wrong(both, k):
    """Its maps are those of the class's probability and add up; its delta takes the difference the wrong way round."""
    models, images, theirs = both
    maps, model = theirs[f"sigmoid/{k}/maps"], models["sigmoid"]
    at = (np.arange(200, dtype=np.float32)[:, None, None, None] + 0.5) / 200
    slopes = [model.gradient(at * x, np.full(200, k), "probability").mean(axis=0) for x in images.values]
    np.testing.assert_allclose(maps, images.values * np.stack(slopes), atol=1e-6)
    after, before = (model.probabilities(x)[:, k] for x in (images.values, np.zeros_like(images.values)))
    np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)), after - before, atol=1e-5)
    np.testing.assert_allclose(theirs[f"sigmoid/{k}/deltas"], 2 * (after - before), atol=1e-5)
    assert abs(after - before).min() > 1e-3
