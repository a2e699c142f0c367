"""captum and zennit on an equal torch network, in an environment of their own.

python3 -m venv torch && torch/bin/pip install torch==2.13.0 captum==0.9.0 zennit==0.5.1
FRUITAUDIT_TORCH_PYTHON=torch/bin/python pytest tests/parity/test_captum_zennit.py
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.deconvolution import Deconvolution
from fruitaudit.attribution.methods.deep_lift import DeepLift
from fruitaudit.attribution.methods.deep_shap import DeepShap
from fruitaudit.attribution.methods.guided_backprop import GuidedBackprop
from fruitaudit.attribution.methods.input_x_gradient import InputXGradient
from fruitaudit.attribution.methods.lrp import Lrp
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Background, Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

L = keras.layers
PYTHON = os.environ.get("FRUITAUDIT_TORCH_PYTHON")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="FRUITAUDIT_TORCH_PYTHON names no interpreter with captum and zennit"
)
OURS = {
    "guided_backprop": GuidedBackprop(channels="sum"),
    "deconvolution": Deconvolution(channels="sum"),
    "input_x_gradient": InputXGradient(),
    "deep_lift": DeepLift(),
    "deep_shap": DeepShap(),
    "lrp zero": Lrp(dense="zero", convolution="zero", first="zero"),
    "epsilon_plus": Lrp(first="z+"),
    "epsilon_plus_flat": Lrp(),
    "epsilon_alpha2_beta1": Lrp(convolution="alpha 2", first="alpha 2"),
    "epsilon_alpha2_beta1_flat": Lrp(convolution="alpha 2"),
    "epsilon_gamma_box": Lrp(convolution="gamma 0.25", first="box"),
}


def network(pool):
    return keras.Sequential([
        L.Input((24, 20, 3)), L.Conv2D(6, 3, activation="relu"), pool(2), L.Conv2D(8, 3, activation="relu"), pool(2),
        L.Flatten(), L.Dense(16, activation="relu"), L.Dense(5),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(models with maximum and with average pooling, images, targets) and the torch libraries' maps by name."""
    keras.utils.set_random_seed(5)
    explanation, averaging = network(L.MaxPooling2D), network(L.AveragePooling2D)
    rng = np.random.default_rng(5)
    weighted = [layer for layer in explanation.layers if layer.weights]
    for layer in weighted:
        layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    averaging.set_weights(explanation.get_weights())
    values, references = (rng.uniform(0, 1, (n, 24, 20, 3)).astype(np.float32) for n in (6, 7))
    classes = np.arange(6) % 5
    folder = tmp_path_factory.mktemp("torch")
    arrays = {
        f"{name}{i}": w for i, layer in enumerate(weighted) for name, w in zip("wb", layer.get_weights(), strict=True)
    }
    arrays["flat_shape"] = np.array(explanation.layers[3].output.shape[1:])
    np.savez(folder / "arrays.npz", images=values, references=references, classes=classes, **arrays)
    child = Path(__file__).with_name("torch_child.py")
    done = subprocess.run([PYTHON, "-I", str(child), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    background = Background(references, np.zeros(7, np.int64), tuple(f"r/{i}" for i in range(7)), 7)
    images = Images(
        values, tuple(f"x/{i}" for i in range(6)), np.zeros(3, "f4"), np.ones(3, "f4"), background=background
    )
    with np.load(folder / "found.npz") as results:
        models = Classifier.from_network(explanation), Classifier.from_network(averaging)
        return (models, images, Targets(classes)), dict(results)


def test_the_networks_are_equal(both):
    ((model, _), images, _), theirs = both
    np.testing.assert_allclose(model.logits(images.values), theirs["logits"], atol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_maps_are_equal(both, name):
    ((model, averaging), *case), theirs = both
    ours = explain(OURS[name], averaging if name in ("deep_lift", "deep_shap") else model, *case, Streams(0)).values
    np.testing.assert_allclose(ours, theirs[name], rtol=1e-3, atol=1e-3 * abs(theirs[name]).max())


def test_captums_deep_lift_does_not_add_up_through_maximum_pooling_and_ours_does(both):
    ((model, _), *case), theirs = both
    ours = explain(DeepShap(), model, *case, Streams(0))
    assert ours.diagnostics["additivity_error"].max() < 1e-4
    difference = ours.diagnostics["score_difference"]
    gap = abs(theirs["deep_shap of maxima"].sum(axis=(1, 2)) - difference)
    assert (gap > 0.3 * abs(difference)).all()


def test_another_rule_is_another_map(both):
    ((model, _), *case), theirs = both
    ours = explain(Lrp(dense="gamma 0.5"), model, *case, Streams(0)).values
    assert abs(ours - theirs["epsilon_plus_flat"]).max() > 0.05 * abs(ours).max()
