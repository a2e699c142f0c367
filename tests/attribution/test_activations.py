import numpy as np
import pytest
import zoo
from analytic_models import some_images, some_targets

from fruitaudit.attribution.methods.activations import Activations
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.runtime.streams import Streams

L = keras.layers


def made_by(kind, **options):
    model = zoo.classifier(kind, 2) if isinstance(kind, str) else Classifier.from_network(kind, batch_size=2)
    images = some_images(model.input_shape, n=3, high=zoo.TOP.get(kind, 1.0) if isinstance(kind, str) else 1.0)
    return model, images, Activations(**options)(model, images, some_targets(3, model.n_classes), Streams(0))


def convolve(values, kernel, bias):
    """A valid convolution written out, in float64."""
    height, width = kernel.shape[:2]
    rows, columns = values.shape[1] - height + 1, values.shape[2] - width + 1
    explanation = np.zeros((len(values), rows, columns, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            explanation += values[:, i : i + rows, j : j + columns].astype(float) @ kernel[i, j].astype(float)
    return explanation + bias


def test_equals_a_convolution_written_out_before_and_after():
    model, images, explanation = made_by("sequential", choose="first", channels=5)
    layer = model.network.get_layer("conv_1")
    expected = convolve(images.values, *map(np.asarray, layer.weights))
    before, after = explanation.layers[:2]
    assert (before.layer, before.stage, after.stage, after.n_channels) == ("conv_1", "before relu", "after relu", 8)
    np.testing.assert_allclose(before.values, expected[..., :5], atol=1e-5)
    np.testing.assert_allclose(after.values, np.maximum(expected, 0)[..., :5], atol=1e-5)
    assert before.values.min() < -0.1
    pooled = np.maximum(expected, 0)[:, :30, :30].reshape(3, 15, 2, 15, 2, 8).max(axis=(2, 4))
    second = convolve(pooled, *map(np.asarray, model.network.get_layer("conv_2").weights))
    np.testing.assert_allclose(explanation.layers[2].values, second[..., :5], atol=1e-4)


def test_the_strongest_channels_over_the_group_come_first():
    _, _, every = made_by("sequential", choose="first", channels=99)
    _, _, explanation = made_by("sequential", channels=4)
    for selection, all_ in zip(explanation.layers[1::2], every.layers[1::2], strict=True):
        order = np.argsort(-abs(all_.values).mean(axis=(0, 1, 2)))[:4]
        assert selection.channels.tolist() == order.tolist()
        np.testing.assert_allclose(selection.values, all_.values[..., order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("swish", lambda z: z / (1 + np.exp(-z))),
        ("relu6", lambda z: np.clip(z, 0, 6)),
        ("mixed_float16", lambda z: np.maximum(z, 0)),
        ("resnet", lambda z: np.maximum(z, 0)),
        ("nested_functional", lambda z: np.clip(z, 0, 6)),
    ],
)
def test_after_is_the_function_of_before_on_every_kind(kind, function):
    _, _, explanation = made_by(kind)
    pairs = [
        (a, b) for a, b in zip(explanation.layers, explanation.layers[1:], strict=False) if a.stage.startswith("before")
    ]
    assert len(pairs) >= 2
    for before, after in pairs:
        assert after.stage.startswith("after")
        assert before.layer == after.layer
        np.testing.assert_allclose(after.values, function(before.values), rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize(
    "function", ["relu", "relu6", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "gelu"]
)
@pytest.mark.parametrize("kind", ["float32", "mixed_float16"])
def test_after_is_what_the_layer_answers_strongest_first(function, kind):
    keras.utils.set_random_seed(3)
    convolution = L.Conv2D(6, 3, activation=function, dtype=kind, bias_initializer="random_normal", name="conv")
    network = keras.Sequential([L.Input((9, 8, 3)), convolution, L.Flatten(), L.Dense(3)])
    model, images, explanation = made_by(network, channels=4)
    [_, after] = explanation.layers
    answers = model.features(images.values, "conv").reshape(3, 7, 6, 6)
    assert after.channels.tolist() == np.argsort(-abs(answers).mean(axis=(0, 1, 2)), kind="stable")[:4].tolist()
    # Two compiled functions may round once differently, in the layer's own type.
    rounding = np.finfo(np.float16 if kind == "mixed_float16" else np.float32).eps
    np.testing.assert_allclose(after.values, answers[..., after.channels], rtol=2 * rounding, atol=1e-6)


def test_says_what_was_tapped_where_layers_are_apart():
    _, _, explanation = made_by("resnet")
    stages = {}
    for layer in explanation.layers:
        stages.setdefault(layer.layer, []).append(layer.stage)
    assert stages["stem"] == ["before relu, after BatchNormalization", "after relu"]
    assert stages["block1_conv2"] == ["output, after BatchNormalization"]
    assert stages["block1_shortcut"] == ["output"]


def test_what_cannot_be_recomputed_is_left_out_and_said():
    class Shifted(L.Conv2D):
        def call(self, inputs):
            return super().call(inputs) + 0.5

    _, _, explanation = made_by(
        keras.Sequential(
            [L.Input((12, 12, 3)), Shifted(4, 3, activation="sigmoid", name="odd"), L.Flatten(), L.Dense(3)]
        )
    )
    assert [layer.stage for layer in explanation.layers] == ["after sigmoid"]
    assert "odd: sigmoid of what was recomputed differs from the output" in explanation.notes[0]


def relu(x):
    """Not the one of Keras, but of its name, and with a ReLU at the end."""
    return keras.ops.relu(x - 0.5)


def test_what_enters_a_function_of_ones_own_is_not_read_off_the_graph():
    odd = L.Conv2D(4, 3, activation=relu, name="odd")
    _, images, explanation = made_by(keras.Sequential([L.Input((12, 12, 3)), odd, L.Flatten(), L.Dense(3)]))
    plain = convolve(images.values, *odd.get_weights())[..., explanation.layers[0].channels]
    stages = {layer.stage: layer.values for layer in explanation.layers}
    np.testing.assert_allclose(stages["before relu"], plain, atol=1e-5)
    np.testing.assert_allclose(stages["after relu"], np.maximum(plain - 0.5, 0), atol=1e-5)


@pytest.mark.slow
def test_a_deep_network_shows_eight_convolutions_evenly_spread():
    _, _, explanation = made_by("nested_functional")
    paths = list(dict.fromkeys(layer.layer for layer in explanation.layers))
    assert len(paths) == 8
    assert (paths[0], paths[-1]) == ("mobilenet/Conv1", "mobilenet/Conv_1")
    assert explanation.notes == ("8 of 52 convolutions, evenly spread",)


@pytest.mark.slow
def test_named_layers_and_unknown_ones():
    _, _, explanation = made_by("nested_functional", layers=["Conv_1"], channels=3)
    assert {layer.layer for layer in explanation.layers} == {"mobilenet/Conv_1"}
    with pytest.raises(CannotExplain, match=r"the model has no convolution hidden; its last ones are conv_1, conv_2"):
        made_by("sequential", layers=["hidden"])
    with pytest.raises(CannotExplain, match="use saliency or occlusion instead"):
        made_by("mlp")
