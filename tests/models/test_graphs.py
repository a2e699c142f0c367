"""Graphs that are traced once for a model."""

import gc
import weakref

import numpy as np
from zoo import KINDS

from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.models.keras.graphs import compiled


def opened():
    return Classifier.from_network(KINDS["sequential"]()), np.random.default_rng(0).random((3, 32, 32, 3), np.float32)


def logits(model, values):
    TRACED.append(values.shape)
    return [model.in_graph(values).logits]


TRACED = []


def test_traced_once_for_a_model_and_a_key_and_any_number_of_images():
    TRACED.clear()
    model, images = opened()
    for n in (1, 3, 2):
        [explanation] = model.batched(compiled(model, "logits", logits), images[:n])
        np.testing.assert_allclose(explanation, model.logits(images[:n]), atol=1e-5)
    assert len(TRACED) == 1
    compiled(model, "others", logits)(images)
    assert len(TRACED) == 2


def test_weights_that_change_are_seen():
    model, images = opened()
    graph = compiled(model, "logits", logits)
    [before] = model.batched(graph, images)
    model.network.layers[-1].kernel.assign(model.network.layers[-1].kernel * 2)
    [after] = model.batched(graph, images)
    assert abs(after - before).max() > 0.01
    np.testing.assert_allclose(after, model.logits(images), atol=1e-5)


def test_batches_are_cut_and_joined(monkeypatch):
    model, images = opened()
    monkeypatch.setattr(model, "batch_size", 2)
    calls = []

    def double(values, more):
        calls.append(len(values))
        return tf.constant(values) * 2, tf.constant(more)

    doubled, more = model.batched(double, images, np.arange(3))
    assert calls == [2, 1]
    np.testing.assert_array_equal(doubled, images * 2)
    np.testing.assert_array_equal(more, [0, 1, 2])


def test_graphs_go_with_their_model():
    model, images = opened()
    compiled(model, "logits", logits)(images)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None
