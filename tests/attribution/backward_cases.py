"""Images with a background, and small Keras networks, for the methods with rules of their own."""

from __future__ import annotations

import dataclasses

import numpy as np
import zoo
from analytic_models import some_images, some_targets

from fruitaudit.attribution.explain import explain
from fruitaudit.models.backend import keras
from fruitaudit.models.classifier import Classifier
from fruitaudit.records.data import Background
from fruitaudit.records.states import NotRun
from fruitaudit.runtime import Streams

L = keras.layers
TOLERANCE = {"mixed_float16": 1e-2}
"""Rounding, as a share of what is explained, where it is not 1e-4."""


def with_background(images, n=5, low=0.0, high=1.0):
    values = some_images(images.values.shape[1:], n, low, high, seed=77).values
    names = tuple(f"train/{i}" for i in range(n))
    return dataclasses.replace(images, background=Background(values, np.zeros(n, np.int64), names, n))


def case(model, n=3, high=1.0):
    images = some_images(model.input_shape, n, high=high)
    return with_background(images, high=high), some_targets(n, model.n_classes)


def of_kind(kind, batch_size=8):
    """A classifier of the zoo with images and targets."""
    model = Classifier.from_network(zoo.KINDS[kind](), batch_size=batch_size)
    return model, *case(model, high=zoo.TOP.get(kind, 1.0))


def network(*layers, shape=(8, 8, 3), seed=4, batch_size=8):
    """A classifier of these layers with random biases, which Keras starts at zero."""
    keras.utils.set_random_seed(seed)
    made = keras.Sequential([L.Input(shape), *layers])
    rng = np.random.default_rng(seed)
    for weight in made.trainable_weights:
        if weight.ndim == 1 and "bias" in weight.name:
            weight.assign(rng.normal(0, 0.1, weight.shape))
    return Classifier.from_network(made, batch_size=batch_size)


def run(method, model, images, targets):
    made = explain(method, model, images, targets, Streams(9))
    assert not isinstance(made, NotRun), made.reason
    return made


def reason(method, model, images, targets):
    made = explain(method, model, images, targets, Streams(9))
    assert isinstance(made, NotRun)
    return made.reason


def worst_gap(made):
    """The additivity error of the worst image, as a share of the largest difference, so that none is near zero."""
    difference = abs(made.diagnostics["score_difference"])
    return (made.diagnostics["additivity_error"] * difference).max() / difference.max()


def logits_of(model, values, targets):
    return model.logits(values)[np.arange(len(values)), targets.classes]
