"""CEM on a linear model against a slow replica from the paper."""

from __future__ import annotations

import numpy as np
import pytest
from analytic_models import some_images
from cem_replica import SHAPE, Replica, linear

from fruitaudit.attribution.methods.cem import Cem
from fruitaudit.models.keras.backend import keras
from fruitaudit.records.data import Background
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


@pytest.fixture(scope="module")
def model():
    return linear()


@pytest.fixture(scope="module")
def linear_autoencoder(tmp_path_factory):
    mix = np.array([[0.8, 0.1, 0.0], [0.1, 0.9, 0.1], [0.0, 0.1, 0.7]], np.float32)
    layer = keras.layers.Conv2D(3, 1, use_bias=False)
    network = keras.Sequential([keras.Input(SHAPE), layer])
    layer.set_weights([mix[None, None]])
    path = tmp_path_factory.mktemp("cem") / "ae.keras"
    network.save(path)
    return str(path), mix


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": True},
        {"score": "probability", "momentum": True, "clip": 30.0, "c_steps": 6},
        {"kappa": 0.5, "no_information": "black", "c_init": 0.7, "c_init_pp": 3.0},
        {"clip": 6.0, "learning_rate": 0.01},
        {"autoencoder": True, "gamma": 5.0, "learning_rate": 0.03, "no_information": "white"},
    ],
    ids=[
        "as in the chapter",
        "momentum",
        "probabilities, clipped",
        "kappa, black",
        "short steps",
        "autoencoder, white",
    ],
)
def test_same_finds_as_the_replica(options, model, linear_autoencoder):
    model, weights, bias = model
    path, mix = linear_autoencoder
    options = {"max_iterations": 25, "c_steps": 7, "beta": 0.03} | options
    if options.get("autoencoder"):
        options["autoencoder"] = path
    images = some_images(SHAPE, n=4)
    reference = some_images(SHAPE, n=9, seed=7)
    background = Background(reference.values, np.zeros(9, np.int64), reference.sample_ids, 9)
    images = type(images)(images.values, images.sample_ids, images.low, images.high, None, background)
    classes = model.probabilities(images.values).argmax(axis=1)
    method = Cem(**options)
    replica = Replica(weights.astype(float), bias.astype(float), method, mix if "autoencoder" in options else None)
    explanation = method(model, images, Targets(classes), Streams(0))
    nothing = method.baseline_image(images).astype(float)
    if method.no_information == "median":
        np.testing.assert_allclose(nothing, np.median(reference.values, axis=0), atol=1e-6)

    compared = 0
    for part in explanation.parts:
        for i, image in enumerate(images.values.astype(float)):
            change, c = replica.search(image, nothing, int(classes[i]), part.mode == "PP")
            assert part.found[i] == (change is not None)
            if change is not None:
                np.testing.assert_allclose(part.change[i], change, atol=2e-5)
                compared += bool(change.any())
                if c is not None:
                    assert explanation.diagnostics[f"{part.mode.lower()}_c"][i] == pytest.approx(c, rel=1e-5)
    assert compared >= 4
    iterations = sum(explanation.diagnostics[f"{mode}_iterations"].sum() for mode in ("pn", "pp"))
    assert iterations <= 8 * method.c_steps * method.max_iterations
    if not method.autoencoder:
        # The replica went on where nothing could change any more: that was left out, and nothing else.
        assert replica.useless > 0
        assert iterations < 8 * method.c_steps * method.max_iterations
