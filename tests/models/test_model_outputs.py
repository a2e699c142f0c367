"""A network with some of its outputs taken away answers among the others, with the same logits."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.classifier import open_classifier

KEPT = (1, 4, 5)


def nested() -> keras.Model:
    body = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(4, 3, activation="relu"),
                             layers.BatchNormalization(), layers.GlobalAveragePooling2D()])  # fmt: skip
    images = keras.Input((12, 12, 3))
    return keras.Model(images, layers.Dense(7, "softmax")(layers.Dense(8)(body(layers.Rescaling(1 / 255)(images)))))


def apart() -> keras.Model:
    return keras.Sequential([keras.Input((12, 12, 3)), layers.Flatten(), layers.Dense(7), layers.Softmax()])


@pytest.mark.parametrize("make", [nested, apart])
def test_logits_are_the_same_and_probabilities_are_shared_among_what_is_left(make, tmp_path: Path) -> None:
    make().save(path := tmp_path / "m.keras")
    whole, part = open_classifier(path), open_classifier(path, outputs=KEPT)
    images = np.random.default_rng(0).random((5, 12, 12, 3), dtype=np.float32) * 255
    assert part.n_classes == 3
    np.testing.assert_array_equal(part.logits(images), whole.logits(images)[:, KEPT])
    images /= 100
    among = whole.probabilities(images)[:, KEPT].astype(np.float64)
    np.testing.assert_allclose(part.probabilities(images), among / among.sum(1, keepdims=True), atol=1e-6)
    targets = np.zeros(5, np.int64)
    np.testing.assert_allclose(part.gradient(images, targets), whole.gradient(images, targets + 1), atol=1e-6)
    assert "audited with 3 of its 7 outputs" in part.summary(("a", "b", "c"), "here").notes[-1]


def test_what_cannot_be_taken_apart_is_refused(tmp_path: Path) -> None:
    one = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1, "sigmoid")])
    one.save(path := tmp_path / "one.keras")
    with pytest.raises(ModelError, match="needs a last dense layer with one unit for each class; write outputs: all"):
        open_classifier(path, outputs=(0, 1))
    convolution = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(3, 4), layers.Flatten(), layers.Softmax()])
    convolution.save(path := tmp_path / "convolution.keras")
    with pytest.raises(ModelError, match="needs a last dense layer"):
        open_classifier(path, outputs=(0, 1))
