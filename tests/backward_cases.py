"""Images with a background, and small Keras networks, for the methods with rules of their own."""

from __future__ import annotations

import dataclasses

import numpy as np
import zoo
from analytic_models import some_images, some_targets

from fruitaudit.attribution.explain import explain
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Background
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

L = keras.layers
TOLERANCE = {"mixed_float16": 3e-2, "nested_functional": 1e-3, "nested_sequential": 1e-3}
"""Rounding, as a share of each image's own score or difference, where it is more than elsewhere: half precision, and
fifty layers."""
HIGH = zoo.TOP | {"relu6": 30.0}
"""What white is to a kind; where it is 1, no unit of the kind relu6 comes near 6."""


def with_background(images, n=5, low=0.0, high=1.0):
    values = some_images(images.values.shape[1:], n, low, high, seed=77).values
    names = tuple(f"train/{i}" for i in range(n))
    return dataclasses.replace(images, background=Background(values, np.zeros(n, np.int64), names, n))


def case(model, n=3, high=1.0):
    images = some_images(model.input_shape, n, high=high)
    return with_background(images, high=high), some_targets(n, model.n_classes)


def of_kind(kind, *, own=False):
    """A classifier of the zoo with images and targets; its `own` one for a test that changes it."""
    model = Classifier.from_network(zoo.KINDS[kind](), batch_size=8) if own else zoo.classifier(kind)
    return model, *case(model, high=HIGH.get(kind, 1.0))


def any_images(shape, seed, low, span, references=1):
    """Three images of some range with a background of the same one."""
    return with_background(some_images(shape, 3, low, low + span, seed), references, low, low + span)


def network(*layers, shape=(8, 8, 3), seed=4, batch_size=8):
    """A classifier of these layers with random weights of a seed, and random biases, which Keras starts at zero.

    Kernels are drawn here: the layers are made before this is called, and have drawn the seeds of theirs.
    """
    model = keras.Sequential([L.Input(shape), *layers])
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        if weight.ndim == 1 and "bias" in weight.name:
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.ndim > 1:
            weight.assign(keras.initializers.GlorotUniform(seed=int(rng.integers(2**31)))(weight.shape))
    return Classifier.from_network(model, batch_size=batch_size)


def run(method, model, images, targets):
    result = explain(method, model, images, targets, Streams(9))
    assert not isinstance(result, NotRun), result.reason
    return result


def reason(method, model, images, targets):
    result = explain(method, model, images, targets, Streams(9))
    assert isinstance(result, NotRun)
    return result.reason


def worst_gap(maps, whole=None):
    """By how much of its own score or difference (`whole`; left out, the diagnostic) a map misses it at worst.

    Where that is less than a hundredth of the batch's largest, by how much of that hundredth: what is added up there
    is large and cancels, so that its rounding is no smaller than in the other images.
    """
    diagnostics = maps.diagnostics
    if whole is None:
        whole = diagnostics.get("score", diagnostics.get("score_difference"))
    size = abs(whole)
    missed = abs(whole - maps.values.sum(axis=(1, 2), dtype=np.float64) - diagnostics.get("kept_inside", 0))
    return (missed / np.maximum(size, size.max() / 100)).max()


def logits_of(model, values, targets):
    return model.logits(values)[np.arange(len(values)), targets.classes]
