"""Where the logits are, and models that have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo

from fruitaudit.errors import ModelError


@pytest.mark.parametrize(
    ("kind", "head", "says"),
    [
        ("sequential", "softmax", "the model's own softmax"),
        ("dense_softmax_layer", "softmax", "the model's own softmax"),
        ("dense_activation_layer", "softmax", "the model's own softmax"),
        ("nested_functional", "softmax", "the model's own softmax"),
        ("subclassed", "softmax", "the model's own softmax"),
        ("mixed_float16", "softmax", "the model's own softmax"),
        ("logits", "logits", "no probabilities: softmax is ours"),
        ("log_softmax", "logits", "log probabilities"),
        ("sigmoid", "sigmoid", "one sigmoid unit, read as two classes with logits -z/2 and +z/2"),
        ("one_logit", "sigmoid", "no probability, read as two classes"),
    ],
)
def test_heads_are_named(classifier: Callable[[str], Any], kind: str, head: str, says: str) -> None:
    model = classifier(kind)
    assert model.head.kind == head
    assert says in model.logit_source
    assert ("on 8 random images" in model.logit_source) == (kind not in ("logits", "one_logit"))


def on_top(*layers_of: Any, units: int = 3) -> Any:
    """Flatten, a dense layer, and these layers."""
    import keras
    from keras import layers

    parts = [keras.Input((6, 6, 3)), layers.Rescaling(1 / 64), layers.Flatten(), layers.Dense(units), *layers_of]
    return keras.Sequential(parts)


def test_probabilities_without_a_softmax_become_log_p() -> None:
    """Label smoothing after the softmax: its input would not give the outputs, log p does."""
    from keras import layers

    from fruitaudit.models.keras.classifier import Classifier

    network = on_top(layers.Softmax(), layers.Rescaling(0.9, offset=0.1 / 3))
    model = Classifier.from_network(network)
    assert model.head.rule == "log_p"
    assert "gradients are those of log p" in model.logit_source
    x = np.random.default_rng(0).random((4, 6, 6, 3), dtype=np.float32)
    p, z = model.scores(x)
    np.testing.assert_allclose(p, np.asarray(network(x)), atol=1e-6)
    np.testing.assert_allclose(z, np.log(p), atol=1e-5)


def test_one_probability_without_a_sigmoid_becomes_log_odds() -> None:
    import keras
    from keras import layers

    from fruitaudit.models.keras.classifier import Classifier

    network = on_top(layers.Activation(lambda z: 0.5 + 0.5 * keras.ops.tanh(z)), units=1)
    model = Classifier.from_network(network)
    x = np.random.default_rng(0).random((4, 6, 6, 3), dtype=np.float32)
    assert (model.head.rule, model.n_classes) == ("log_odds", 2)
    np.testing.assert_allclose(model.probabilities(x)[:, 1], np.asarray(network(x))[:, 0], atol=1e-5)


def test_what_is_no_single_label_classifier_is_refused() -> None:
    from keras import layers

    from fruitaudit.models.keras.classifier import Classifier

    with pytest.raises(ModelError, match=r"3 sigmoid units.*not a single-label classifier"):
        Classifier.from_network(on_top(layers.Activation("sigmoid")))
    with pytest.raises(ModelError, match="one softmax unit, which is always 1"):
        Classifier.from_network(on_top(layers.Softmax(), units=1))


def test_a_damaged_model_is_refused() -> None:
    from fruitaudit.models.keras.classifier import Classifier

    network = zoo.KINDS["sequential"]()
    network.get_layer("scores").bias.assign([np.nan] * 5)
    with pytest.raises(ModelError, match="layer 'scores' is damaged: 5 of 5 numbers of its bias are NaN or infinite"):
        Classifier.from_network(network)


def test_a_head_that_does_not_check_out_is_refused() -> None:
    """The verification itself can fail: outputs that softmax of the claimed logits does not give."""
    import tensorflow as tf

    from fruitaudit.models.keras.heads import choose_head

    probabilities = tf.constant(np.full((8, 2), 0.5, np.float32))
    assert choose_head("softmax", probabilities, tf.zeros((8, 2))).rule == "softmax"
    wrong = tf.constant(np.tile(np.float32([0, 9]), (8, 1)))
    assert choose_head("softmax", probabilities, wrong).rule == "log_p", "falls back to what does check out"
    with pytest.raises(ModelError, match="differs from the model's output by"):
        choose_head("log_softmax", tf.constant(np.full((8, 2), 0.2, np.float32)), wrong)


def test_a_savedmodel_of_multi_label_is_refused(tmp_path: Path) -> None:
    from keras import layers

    from fruitaudit.models.keras.classifier import open_classifier

    on_top(layers.Activation("sigmoid")).export(tmp_path / "tags", verbose=False)
    with pytest.raises(ModelError, match="tags: the model has 3 sigmoid units"):
        open_classifier(tmp_path / "tags", allow_code=True)


def test_a_savedmodel_that_cannot_be_unfolded_gives_log_p(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifier: Callable[[str], Any]
) -> None:
    from keras import layers

    from fruitaudit.models.keras import savedmodel
    from fruitaudit.models.keras.classifier import open_classifier

    monkeypatch.setattr(savedmodel, "_MAX_UNFOLDED", 0)
    hidden, plain = open_classifier(saved / "saved_model", allow_code=True), classifier("sequential")
    assert hidden.head.rule == "log_p"
    assert "its softmax cannot be reached" in hidden.logit_source
    x, classes = np.random.default_rng(1).random((3, 32, 32, 3), dtype=np.float32), np.array([0, 1, 2])
    np.testing.assert_allclose(hidden.probabilities(x), plain.probabilities(x), atol=1e-6)
    expected = plain.gradient(x, classes, "probability")
    np.testing.assert_allclose(hidden.gradient(x, classes, "probability"), expected, atol=1e-6)
    p = plain.probabilities(x)[np.arange(3), classes][:, None, None, None]
    np.testing.assert_allclose(hidden.gradient(x, classes), expected / p, atol=1e-6)
    on_top(layers.Activation("sigmoid")).export(tmp_path / "tags", verbose=False)
    with pytest.raises(ModelError, match="3 sigmoid units"):
        open_classifier(tmp_path / "tags", allow_code=True)


def test_methods_that_need_the_layers_of_a_savedmodel_are_told_so(saved: Path) -> None:
    from fruitaudit.errors import CannotExplain
    from fruitaudit.models.keras.classifier import open_classifier

    model = open_classifier(saved / "saved_model", allow_code=True)
    assert model.cam_layer is None
    with pytest.raises(CannotExplain, match="no features"):
        model.features(np.zeros((1, 32, 32, 3), np.float32))
    with pytest.raises(CannotExplain, match=r"no layer conv_2 .*saved_model"):
        model.layer_gradients(np.zeros((1, 32, 32, 3), np.float32), np.array([0]), "conv_2")


def test_a_model_of_whole_numbers_has_no_gradient() -> None:
    import keras
    from keras import layers

    from fruitaudit.errors import CannotExplain
    from fruitaudit.models.keras.classifier import Classifier

    pixels = keras.Input((6, 6, 3), dtype="uint8")
    scores = layers.Dense(3, "softmax")(layers.Flatten()(layers.Rescaling(1 / 255)(pixels)))
    model = Classifier.from_network(keras.Model(pixels, scores))
    x = np.full((2, 6, 6, 3), 200, np.float32)
    np.testing.assert_allclose(model.probabilities(x), np.asarray(model.network(x)), atol=1e-6)
    with pytest.raises(CannotExplain, match=r"no gradient reaches the model's input; use .* occlusion"):
        model.gradient(x, np.array([0, 1]))
