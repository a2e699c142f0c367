"""Activation maximization by tf-keras-vis: repeatable, inside the range it is told, and weaker than the native one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fruitaudit.attribution.methods.activation_maximization import ActivationMaximization
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.providers.tf_keras_vis_maximization import ActivationMaximizationByTfKerasVis
from fruitaudit.records.data import Background, Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

pytestmark = pytest.mark.slow

L = keras.layers
FEW = {"filters": 2, "classes": 2, "steps": 25, "choose": "first", "reference_images": 8}


@pytest.fixture(scope="module")
def case():
    keras.utils.set_random_seed(2)
    model = Classifier.from_network(
        keras.Sequential([
            L.Input((16, 12, 3)), L.Conv2D(4, 3, activation="relu", name="conv"), L.MaxPooling2D(), L.Flatten(),
            L.Dense(5, activation="softmax"),
        ])
    )  # fmt: skip
    references = np.random.default_rng(0).uniform(0, 1, (8, 16, 12, 3)).astype(np.float32)
    background = Background(references, np.zeros(8, np.int64), tuple(f"x/{i}" for i in range(8)), 8)
    images = Images(references[:0], (), np.zeros(3, np.float32), np.ones(3, np.float32), background=background)
    return model, images, Targets(np.zeros(0, np.int64))


def test_is_the_same_twice_and_leaves_the_global_stream_alone(case):
    state = np.random.get_state()[1].copy()
    first, second = (ActivationMaximizationByTfKerasVis(**FEW)(*case, Streams(3)) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    other = ActivationMaximizationByTfKerasVis(**FEW)(*case, Streams(4))
    assert abs(first.values - other.values).max() > 0.1


def test_shows_the_same_units_inside_the_range_and_excites_most_of_them_less(case):
    theirs = ActivationMaximizationByTfKerasVis(**FEW)(*case, Streams(3))
    ours = ActivationMaximization(**FEW, parameterization="pixel")(*case, Streams(3))
    assert theirs.units == ours.units
    assert theirs.values.min() >= 0
    assert theirs.values.max() <= 1
    np.testing.assert_array_equal(theirs.strongest, ours.strongest)
    assert (ours.reached > theirs.reached).mean() > 0.5


@pytest.mark.parametrize(("option", "value"), ActivationMaximizationByTfKerasVis.registration.contract_options)
def test_every_option_is_passed_on(case, option, value):
    fields = {field.name for field in dataclasses.fields(ActivationMaximizationByTfKerasVis)}
    assert fields == dict(ActivationMaximizationByTfKerasVis.registration.contract_options).keys()
    value = ["conv"] if option == "layers" else value
    native = ActivationMaximizationByTfKerasVis(**{option: value})._native()
    assert getattr(native, option) == value
