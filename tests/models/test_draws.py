"""Models that answer differently when they are asked twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo

from fruitaudit.findings.answers import of_variation
from fruitaudit.models.keras.draws import DRAWS, mean_scores
from fruitaudit.records.model import Variation


@pytest.fixture(scope="module")
def keras_layers() -> Any:
    from fruitaudit.models.keras.backend import keras

    keras.utils.set_random_seed(0)
    return keras


def of_dropout(keras: Any, layer: Any, **called: bool) -> Any:
    images = keras.Input((8, 8, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(images))
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(layer(features, **called)))


def always(keras: Any) -> Any:
    """A layer whose noise no argument switches off, as in an exported program."""

    class Noise(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * keras.random.uniform(keras.ops.shape(x), 0, 2)

    return of_dropout(keras, Noise())


def test_a_model_that_always_draws_is_scored_by_the_mean_of_its_draws(keras_layers: Any) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    model = Classifier.from_network(always(keras_layers))
    assert model.variation is not None
    assert model.variation.where == "always"
    assert model.variation.draws == DRAWS
    assert model.variation.deviation > 0.01
    assert model.summary(("a", "b", "c"), "").variation == model.variation
    x = np.random.default_rng(0).random((5, 8, 8, 3), dtype=np.float32)
    before = model.passes.forward
    p, z = model.scores(x)
    assert model.passes.forward - before == DRAWS * 5
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(z), p, rtol=1e-5)
    one = np.std([model.batched(model.scores_in_graph, x)[0] for _ in range(30)], axis=0)
    many = np.std([model.scores(x)[0] for _ in range(30)], axis=0)
    # The mean of 10 draws has a standard deviation smaller by sqrt(10) = 3.2.
    assert 2 < one.mean() / many.mean() < 5


def test_dropout_that_was_switched_on_for_good_draws_only_where_the_model_is_called(keras_layers: Any) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    network = of_dropout(keras_layers, keras_layers.layers.Dropout(0.5), training=True)
    model = Classifier.from_network(network)
    assert model.variation is not None
    assert model.variation.where == "called"
    x = np.random.default_rng(0).random((5, 8, 8, 3), dtype=np.float32)
    np.testing.assert_allclose(model.probabilities(x), network.predict(x, verbose=0), atol=1e-6)


def test_asking_writes_no_statistics(keras_layers: Any) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    L = keras_layers.layers
    network = of_dropout(keras_layers, L.BatchNormalization(), training=True)
    before = [np.array(weight) for weight in network.get_weights()]
    Classifier.from_network(network)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", ["preparing", "vit", "mixed_float16", "sequential"])
def test_layers_that_draw_in_training_only_are_still(kind: str) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    assert Classifier.from_network(zoo.KINDS[kind]()).variation is None


def test_the_mean_of_draws_is_that_of_probabilities() -> None:
    p, z = mean_scores([np.float32([[0.2, 0.8]]), np.float32([[0.6, 0.4]])])
    np.testing.assert_allclose(p, [[0.4, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(z, np.log([[0.4, 0.6]]), rtol=1e-6)


def test_the_finding_says_what_the_figures_are_of() -> None:
    [finding] = of_variation(Variation("always", 10, 0.12, 3, 8))
    assert finding.severity == "critical"
    assert finding.sentence == (
        "Asked twice about the same picture, the model gives different answers: all figures are those of the mean of "
        "10 draws."
    )
    assert finding.evidence == (
        "asked 10 times about 8 random images, the answer changed for 3, and the probability of a class had a standard "
        "deviation of up to 0.12",
    )
    [finding] = of_variation(Variation("called", 10, 0.01, 0, 8))
    assert finding.severity == "warning"
    assert "where it is called as model(x)" in finding.sentence
    assert not list(of_variation(None))


@pytest.mark.slow
def test_an_exported_program_that_draws_is_found(keras_layers: Any, tmp_path: Path) -> None:
    from fruitaudit.models.keras.classifier import open_classifier

    always(keras_layers).export(tmp_path / "saved", verbose=False)
    model = open_classifier(tmp_path / "saved", allow_code=True)
    assert model.variation is not None
    assert model.variation.where == "always"
