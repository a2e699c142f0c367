"""Drawing weights anew: by each layer's own initializer, in a copy, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from zoo import KINDS

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.models.keras.reinitialise import ReinitialisableCopy, copy_of
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.randomization import steps

STREAMS = Streams(5)


@pytest.fixture(scope="module")
def small() -> Classifier:
    network = KINDS["sequential"]()
    rng = np.random.default_rng(0)
    # "Trained": no weight is what an initializer would give.
    network.set_weights([w + rng.normal(0, 0.3, w.shape) for w in network.get_weights()])
    return Classifier.from_network(network)


def weights(classifier: Classifier) -> dict[str, np.ndarray]:
    return {"/".join(w.path.split("/")[-2:]): np.array(w) for w in classifier.network.weights}


def test_the_copy_starts_as_the_trained_network_and_the_original_is_never_written(small: Classifier) -> None:
    """Known faults of others: clones that start fully random; a network that comes back changed."""
    before = small.network.get_weights()
    values = np.random.default_rng(1).random((4, 32, 32, 3), np.float32)
    network = ReinitialisableCopy(small, STREAMS)
    copy = network.reinitialised(())
    assert copy.network is not small.network
    np.testing.assert_array_equal(copy.logits(values), small.logits(values))
    network.reinitialised(network.layers)
    assert abs(copy.logits(values) - small.logits(values)).max() > 0.1
    for a, b in zip(before, small.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(network.reinitialised(()).logits(values), small.logits(values))


def test_only_the_layers_named_are_drawn_anew(small: Classifier) -> None:
    network = ReinitialisableCopy(small, STREAMS)
    assert network.layers == ("scores", "hidden", "conv_2", "conv_1")
    trained = weights(small)
    for layers in (("scores",), ("scores", "hidden"), ("conv_1",)):
        now = weights(network.reinitialised(layers))
        changed = {name for name in trained if not np.array_equal(now[name], trained[name])}
        assert changed == {name for name in trained if name.split("/")[0] in layers}


def test_weights_are_what_the_layer_s_own_initializer_gives(small: Classifier) -> None:
    """A known fault of others: weights drawn from [0, 1) whatever the layer."""
    network = ReinitialisableCopy(small, STREAMS)
    fresh = weights(network.reinitialised(network.layers))
    for name, fan in (("conv_2/kernel", 9 * (8 + 12)), ("hidden/kernel", sum(fresh["hidden/kernel"].shape))):
        bound = np.sqrt(6 / fan)  # Glorot uniform, the default
        assert abs(fresh[name]).max() <= bound
        assert abs(fresh[name]).max() > 0.95 * bound
        assert abs(fresh[name].mean()) < 0.1 * bound
        assert fresh[name].min() < 0
    for name, values in fresh.items():
        assert name.endswith("kernel") or not values.any()  # biases begin at zero


def test_a_seed_in_the_model_s_file_does_not_give_the_old_weights_back() -> None:
    import keras

    he = keras.initializers.HeNormal(seed=3)
    dense = keras.layers.Dense(3, activation="softmax", name="d", kernel_initializer=he)
    classifier = Classifier.from_network(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), dense]))
    draws = [weights(ReinitialisableCopy(classifier, Streams(s)).reinitialised(("d",)))["d/kernel"] for s in (1, 1, 2)]
    assert not np.array_equal(draws[0], weights(classifier)["d/kernel"])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert np.std(draws[0]) == pytest.approx(np.sqrt(2 / 64), rel=0.15)  # He normal


@pytest.mark.parametrize("kind", ["resnet", "vit", "mixed_float16", "one_logit", "non_square"])
def test_every_weight_of_other_kinds_belongs_to_one_layer(kind: str) -> None:
    classifier = Classifier.from_network(KINDS[kind]())
    network = ReinitialisableCopy(classifier, STREAMS)
    values = np.random.default_rng(1).random((2, *classifier.input_shape), np.float32)
    after = network.reinitialised(network.layers).logits(values)
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(network.reinitialised(()).logits(values), classifier.logits(values))


def test_a_network_that_cannot_be_copied_says_so() -> None:
    with pytest.raises(CannotExplain, match=r"Subclassed.*cannot be copied"):
        ReinitialisableCopy(Classifier.from_network(KINDS["subclassed"]()), STREAMS)


def test_a_copy_that_is_another_network_is_refused(small: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    clone = keras.models.clone_model

    def random_clone(model):
        explanation = clone(model)
        explanation.set_weights = lambda weights: None
        return explanation

    monkeypatch.setattr(keras.models, "clone_model", random_clone)
    with pytest.raises(CannotExplain, match="other logits"):
        copy_of(small)


def test_steps_go_from_the_output_to_everything() -> None:
    layers = tuple("fedcba")
    order = steps(layers, cascading=3, independent=2)
    down = [step.layers for step in order if step.cascading]
    assert down[0] == ("f",)
    assert down[-1] == layers
    assert len(down) == 3
    assert [step.layers for step in order if not step.cascading] == [("f",), ("a",)]
    assert [step.layers for step in steps(("x",), cascading=4, independent=0)] == [("x",)]
    many = steps([str(i) for i in range(100)], cascading=6, independent=6)
    assert len(many) == 12
