"""What a Keras model offers as functions of arrays, against its scores and gradients."""

import numpy as np
import pytest
import zoo

from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.models.layers import Convolution, layer_at


@pytest.fixture(scope="module")
def model():
    return Classifier.from_network(zoo.KINDS["sequential"](), batch_size=2)


@pytest.fixture(scope="module")
def values(model):
    return np.random.default_rng(0).random((3, *model.input_shape), np.float32)


@pytest.mark.parametrize("explains", ["logit", "probability"])
def test_a_margin_is_the_class_less_the_strongest_other(model, values, explains):
    classes = np.array([0, 3, 1])
    expected = model.logits(values) if explains == "logit" else model.probabilities(values)
    rivals = np.where(np.eye(model.n_classes)[classes] > 0, -np.inf, expected).argmax(axis=1)
    before = model.passes.snapshot()
    scores, gradients = model.margin_gradients(values, classes, explains)
    assert model.passes.since(before).gradient == 3
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    by_hand = model.gradient(values, classes, explains) - model.gradient(values, rivals, explains)
    np.testing.assert_allclose(gradients, by_hand, atol=1e-5 * abs(by_hand).max())


def test_a_unit_is_a_class_or_the_mean_of_a_filter(model, values):
    classes = np.array([4, 0, 2])
    np.testing.assert_allclose(model.unit_gradients(values, None, classes), model.gradient(values, classes), atol=1e-6)
    layer = layer_at(model.layers, "conv_2")
    conv = Convolution(layer, "", layer.path, layer.activation, normalized=False)
    gradients, place, step = model.unit_gradients(values, conv, classes), (slice(None), 9, 11, 1), 1e-2
    ends = [values.copy() for _ in range(2)]
    ends[0][place] += step
    ends[1][place] -= step
    means = [model.channel_means(end, [conv]).layers[0][np.arange(3), classes] for end in ends]
    np.testing.assert_allclose(gradients[place], (means[0] - means[1]) / (2 * step), rtol=0.05, atol=1e-5)


def test_a_pass_gives_scores_and_answers_in_their_own_shape(model, values):
    explanation = model.forward(values, ("conv_1", None))
    np.testing.assert_allclose(explanation.logits, model.logits(values), atol=1e-5)
    np.testing.assert_allclose(explanation.layers[0].reshape(3, -1), model.features(values, "conv_1"), atol=1e-6)
    np.testing.assert_allclose(explanation.layers[1], model.features(values), atol=1e-6)
    assert explanation.layers[0].shape == (3, *layer_at(model.layers, "conv_1").shape)


def test_layers_are_told_by_what_they_are_and_read():
    network = Classifier.from_network(zoo.KINDS["resnet"]())
    stem, *_ = [one for one in network.layers if one.role == "convolution"]
    followers = [one for one in network.layers if stem.path in one.reads]
    assert [one.role for one in followers] == ["normalization"]
    assert network.hidden_layers == ""
