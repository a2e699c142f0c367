"""Layers are found in running order, whatever the model is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("sequential", "conv_2"),
        ("added", "conv_2"),
        ("resnet", "block2_out"),
        ("nested_functional", "mobilenet/block_13_expand_relu"),
        ("nested_sequential", "mobilenet/block_13_expand_relu"),
        ("subclassed", "block"),
        ("grey28", "conv_2"),
        ("vit", None),
        ("mlp", None),
    ],
)
def test_the_cam_layer_is_the_last_spatial_activation(
    classifier: Callable[[str], Any], kind: str, layer: str | None
) -> None:
    """Not the 1 x 1 shortcut of a ResNet, not the addition's input, not a pooled or flattened copy."""
    assert classifier(kind).cam_layer == layer


def test_the_chapters_model(store16: Any) -> None:
    from fruitaudit.models.keras.classifier import open_classifier

    for name in ("fruit_cnn.keras", "fruit_cnn_keras2.h5"):
        model = open_classifier(store16 / "models" / name)
        assert model.cam_layer == "conv2d_4"
        assert model.trace.find("conv2d_4").shape == (10, 10, 128)
        assert model.trace.begun[-1].path == "dense_2"


def test_calls_stand_in_running_order_with_their_place(classifier: Callable[[str], Any]) -> None:
    begun = [(call.path, call.depth) for call in classifier("subclassed").trace.begun]
    assert begun == [("block", 0), ("block/conv", 1), ("block/shortcut", 1), ("gap", 0), ("scores", 0)]
    done = [call.path for call in classifier("subclassed").trace.done]
    assert done == ["block/conv", "block/shortcut", "block", "gap", "scores"]


def test_a_nested_layer_is_found_by_its_path_or_its_only_name(classifier: Callable[[str], Any]) -> None:
    trace = classifier("nested_functional").trace
    assert trace.find("Conv_1") is trace.find("mobilenet/Conv_1")
    assert trace.find("mobilenet/Conv_1").shape == (1, 1, 1280)
    assert trace.find("nothing") is None


def test_a_layer_used_twice_has_two_names() -> None:
    import keras
    from keras import layers

    from fruitaudit.models.keras.classifier import Classifier

    images = keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    scores = layers.Dense(2, "softmax", name="scores")(layers.Flatten(name="flatten")(conv(conv(images))))
    model = Classifier.from_network(keras.Model(images, scores))
    assert [call.path for call in model.trace.begun] == ["conv", "conv#2", "flatten", "scores"]
    assert model.cam_layer == "conv#2"


def test_names_do_not_change_from_trace_to_trace(classifier: Callable[[str], Any]) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    model = classifier("nested_functional")
    repeated = Classifier.from_network(model.network)
    assert [c.path for c in repeated.trace.begun] == [c.path for c in model.trace.begun]


def test_listening_ends_with_the_block() -> None:
    import keras

    from fruitaudit.models.keras import taps

    original = keras.Operation.__call__
    with pytest.raises(RuntimeError, match="stop"), taps.recorded():
        raise RuntimeError("stop")
    assert keras.Operation.__call__ is original


def test_features_are_what_the_last_dense_layer_sees(
    classifier: Callable[[str], Any], images: Callable[..., np.ndarray]
) -> None:
    """scores = softmax(W features + b), and a named layer gives its own output in one row."""
    model = classifier("resnet")
    x = images(model)
    dense = model.network.get_layer("scores")
    z = model.features(x) @ np.asarray(dense.kernel) + np.asarray(dense.bias)
    np.testing.assert_allclose(z, model.logits(x), atol=1e-5)
    assert model.features(x, "block2_out").shape == (6, 16 * 16 * 16)
