"""What counterfactuals must hold to, and what must be said where there is none or where one says nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import zoo
from analytic_models import some_images

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.cem import Cem
from fruitaudit.errors import ModelError
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Background
from fruitaudit.records.explanations import Targets
from fruitaudit.records.packing import pack, unpack
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

L = keras.layers
QUICK = {"max_iterations": 20, "c_steps": 6, "beta": 0.05, "no_information": "black"}


def cnn(*head, rescale=None):
    keras.utils.set_random_seed(2)
    # Black would have no gradient without a bias.
    body = [L.Conv2D(6, 3, activation="relu", bias_initializer="random_normal"), L.MaxPooling2D(), L.Flatten()]
    before = [rescale] if rescale else []
    network = keras.Sequential(
        [L.Input((16, 12, 3)), *before, *body, *(head or [L.Dense(4, "softmax", kernel_initializer="he_normal")])]
    )
    return Classifier.from_network(network, batch_size=64)


@pytest.fixture(scope="module")
def model():
    return cnn()


@pytest.fixture(scope="module")
def usual(model):
    """Images, targets and what is found for them."""
    images = some_images(model.input_shape, n=5)
    targets = Targets(model.probabilities(images.values).argmax(axis=1))
    return images, targets, Cem(**QUICK)(model, images, targets, Streams(0))


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    """Makes an autoencoder file of these layers."""
    folder = tmp_path_factory.mktemp("autoencoders")

    def make(name, *layers, shape=(16, 12, 3), weights=None):
        keras.utils.set_random_seed(4)
        path, network = str(folder / f"{name}.keras"), keras.Sequential([L.Input(shape), *layers])
        if weights:
            network.set_weights(weights)
        network.save(path)
        return path

    return make


def test_a_negative_has_another_class_and_a_positive_the_same(model, usual):
    _, targets, explanation = usual
    for part in explanation.parts:
        assert part.found.sum() >= 3
        answers = model.probabilities(part.values[part.found])
        np.testing.assert_array_equal(part.classes[part.found], answers.argmax(axis=1))
        np.testing.assert_allclose(part.probabilities[part.found], answers.max(axis=1), rtol=1e-5)
        same = part.classes[part.found] == targets.classes[part.found]
        assert same.all() if part.mode == "PP" else not same.any()


def test_finds_are_the_image_plus_a_change_that_is_allowed(usual):
    images, _, explanation = usual
    negative, positive = explanation.parts
    image, change = images.values[negative.found], negative.change[negative.found]
    np.testing.assert_allclose(negative.values[negative.found], image + change, atol=1e-6)
    assert (change >= 0).all()  # away from black
    assert negative.values[negative.found].max() <= 1 + 1e-6
    np.testing.assert_array_equal(positive.values[positive.found], positive.change[positive.found])
    present = positive.change[positive.found]
    assert (present >= 0).all()
    assert (present <= images.values[positive.found] + 1e-6).all()


def test_numbers_are_those_of_the_finds(usual):
    _, _, explanation = usual
    for part in explanation.parts:
        mode = part.mode.lower()
        for name, norm in (("l1", 1), ("l2", 2)):
            norms = [np.linalg.norm(one.ravel(), norm) if ok else np.nan
                     for one, ok in zip(part.change, part.found, strict=True)]  # fmt: skip
            np.testing.assert_allclose(explanation.diagnostics[f"{mode}_{name}"], norms, rtol=1e-5)
    assert any("PN found for" in note for note in explanation.notes)
    repeated = unpack(pack(explanation))
    np.testing.assert_array_equal(repeated.parts[1].values, explanation.parts[1].values)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_neither_batch_size_nor_other_images_matter(model, usual, batch_size, monkeypatch):
    images, targets, explanation = usual
    order = np.array([3, 0, 4])
    monkeypatch.setattr(model, "batch_size", batch_size)
    selection = Cem(**QUICK)(model, images.select(order), targets.select(order), Streams(0))
    for part, whole in zip(selection.parts, explanation.parts, strict=True):
        np.testing.assert_array_equal(part.found, whole.found[order])
        np.testing.assert_allclose(part.values, whole.values[order], atol=1e-5)
        name = f"{part.mode.lower()}_iterations"
        np.testing.assert_array_equal(selection.diagnostics[name], explanation.diagnostics[name][order])


@pytest.mark.parametrize("momentum", [False, True])
def test_counts_every_pass_and_announces_no_fewer(model, usual, momentum):
    images, targets, _ = usual
    whole = Cem(**QUICK, momentum=momentum)
    before = model.passes.snapshot()
    explanation = whole(model, images, targets, Streams(0))
    counted = model.passes.since(before)
    iterations = [explanation.diagnostics[f"{mode}_iterations"] for mode in ("pn", "pp")]
    searched = sum((one > 0).sum() for one in iterations)
    assert counted.gradient == np.sum(iterations) + searched
    n_found = sum(part.found.sum() for part in explanation.parts)
    assert counted.forward == len(images) + 1 + n_found + momentum * np.sum(iterations)
    most = whole.model_passes(len(images), model.input_shape)
    assert 0 < counted.gradient < most.gradient
    assert counted.forward <= most.forward


def test_what_was_there_before_anything_changed_says_nothing(model, usual):
    images, targets, _ = usual
    black = int(model.probabilities(np.zeros((1, *model.input_shape), np.float32)).argmax())
    others = Targets((targets.classes + 1) % 4)
    explanation = Cem(**QUICK)(model, images, others, Streams(0))
    assert explanation.parts[0].found.all()
    assert set(explanation.parts[0].vacuous) == {"the model gives the unchanged image another class"}
    assert not explanation.parts[0].change.any()
    explanation = Cem(**QUICK)(model, images, Targets(np.full(5, black)), Streams(0))
    assert explanation.parts[1].found.all()
    assert set(explanation.parts[1].vacuous) == {"the image without information is given this class already"}
    np.testing.assert_array_equal(explanation.parts[1].values, 0)


def test_none_found_is_none_found():
    stubborn = cnn(L.Dense(4, activation="softmax", kernel_initializer="zeros", bias_initializer=some_bias))
    images = some_images(stubborn.input_shape, n=2)
    explanation = Cem(**QUICK)(stubborn, images, Targets(np.array([2, 2])), Streams(0))
    negative, positive = explanation.parts
    assert not negative.found.any()
    assert np.isnan(negative.values).all()
    assert np.isnan(negative.change).all()
    assert np.isnan(explanation.diagnostics["pn_l1"]).all()
    assert np.isnan(explanation.diagnostics["pn_c"]).all()
    np.testing.assert_array_equal(negative.classes, -1)
    assert negative.vacuous == ("", "")
    assert "PN found for 0 of 2 images" in explanation.notes
    assert positive.found.all()
    # Nothing moves, whatever c: each round is seen to be hopeless in its first iteration.
    np.testing.assert_array_equal(explanation.diagnostics["pn_iterations"], QUICK["c_steps"])


def some_bias(shape, dtype=None):
    return keras.ops.cast([0.0, 0.0, 1.0, 0.0], dtype)


def test_share_of_the_change_on_the_object(model, usual):
    images, targets, explanation = usual
    masks = np.zeros(images.values.shape[:3], np.float32)
    masks[:, :8] = 1
    masks[4] = np.nan
    masked = dataclasses.replace(images, masks=masks)
    for part in Cem(**QUICK)(model, masked, targets, Streams(0)).parts:
        size = abs(part.change).sum(axis=-1)
        with np.errstate(invalid="ignore"):
            share = size[:, :8].sum(axis=(1, 2)) / size.sum(axis=(1, 2))
        np.testing.assert_allclose(part.on_object[:4], share[:4], rtol=1e-5)
        assert np.isnan(part.on_object[4])
    assert np.isnan(explanation.parts[0].on_object).all()


def test_one_sigmoid_unit_is_two_classes():
    model = cnn(L.Dense(1, activation="sigmoid"))
    images = some_images(model.input_shape, n=4)
    targets = Targets(model.probabilities(images.values).argmax(axis=1))
    negative, _ = Cem(**QUICK)(model, images, targets, Streams(0)).parts
    assert negative.found.any()
    np.testing.assert_array_equal(negative.classes[negative.found], 1 - targets.classes[negative.found])


def test_the_same_picture_in_another_range_gives_the_same_change(usual):
    _, targets, explanation = usual
    scaled = cnn(rescale=L.Rescaling(1 / 4, 1 / 4))
    other = some_images(scaled.input_shape, n=5, low=-1, high=3)
    for part, whole in zip(Cem(**QUICK)(scaled, other, targets, Streams(0)).parts, explanation.parts, strict=True):
        np.testing.assert_array_equal(part.found, whole.found)
        np.testing.assert_allclose(part.change / 4, whole.change, atol=1e-4)


@pytest.mark.slow
def test_every_option_changes_what_is_found(model, usual, autoencoder):
    images, targets, _ = usual
    reference = some_images(model.input_shape, n=6, seed=8)
    background = Background(reference.values, np.zeros(6, np.int64), reference.sample_ids, 6)
    images = dataclasses.replace(images, background=background)
    first = {"max_iterations": 20, "c_steps": 6, "learning_rate": 0.01}
    first["autoencoder"] = autoencoder("some", L.Conv2D(3, 3, padding="same"))
    changes = dict(Cem.registration.contract_options) | {"autoencoder": None}
    assert set(changes) == {field.name for field in dataclasses.fields(Cem)}

    def values(options):
        explanation = Cem(**first | options)(model, images, targets, Streams(0))
        return np.nan_to_num(np.stack([part.values for part in explanation.parts]), nan=-1)

    first_values = values({})
    for option, value in changes.items():
        assert abs(values({option: value}) - first_values).max() > 1e-3, option


def test_the_autoencoder_keeps_changes_near_what_it_knows(model, usual, autoencoder):
    """Its answers have a red channel of 0: with much weight on it, nothing red is added."""
    images, targets, without = usual
    path = autoencoder("no red", L.Conv2D(3, 1, use_bias=False), weights=[np.diag([0.0, 1.0, 1.0])[None, None]])
    options = QUICK | {"autoencoder": path, "gamma": 100.0, "beta": 0.0, "learning_rate": 0.01}
    explanation = Cem(**options)(model, images, targets, Streams(0))
    np.testing.assert_array_equal(explanation.reconstructions[..., 0], 0)
    np.testing.assert_allclose(explanation.reconstructions[..., 1:], images.values[..., 1:], rtol=1e-6)
    assert explanation.diagnostics["reconstruction_error"] == pytest.approx(
        np.sqrt((images.values[..., 0] ** 2).mean(axis=(1, 2)) / 3), rel=1e-5
    )
    positive = explanation.parts[1]
    red = [abs(part.change[positive.found][..., 0]).mean() for part in (positive, without.parts[1])]
    assert red[0] < 0.2 * red[1]


def test_with_an_autoencoder_steps_are_smaller_unless_they_are_named():
    assert (Cem().rate, Cem(autoencoder="a").rate, Cem(autoencoder="a", learning_rate=0.1).rate) == (0.01, 0.002, 0.1)


def test_an_autoencoder_that_does_not_fit_is_refused(model, usual, autoencoder, tmp_path):
    images, targets, _ = usual

    def reason(path):
        explanation = explain(Cem(**QUICK, autoencoder=path), model, images, targets, Streams(0))
        assert isinstance(explanation, NotRun)
        return explanation.reason

    assert "does not take the model's images of 16 x 12 x 3" in reason(autoencoder("grey", L.Dense(1), shape=(8, 8, 1)))
    assert "turns images of 16 x 12 x 3 into 16 x 12 x 1" in reason(autoencoder("one channel", L.Dense(1)))
    inputs = keras.Input((16, 12, 3))
    two = keras.Model(inputs, [L.Dense(3)(inputs), L.Dense(3)(inputs)])
    two.save(tmp_path / "two.keras")
    assert "train one that returns what it was given" in reason(str(tmp_path / "two.keras"))
    large = autoencoder("bytes", L.Rescaling(255.0))
    assert "while the model's inputs run from 0 to 1; train one on the model's inputs" in reason(large)
    with pytest.raises(ModelError, match="pass --allow-code"):
        reason(autoencoder("code", L.Lambda(lambda x: x)))


@pytest.mark.parametrize("n", [1, 4, 5])
def test_the_median_of_reference_images_is_numpys(n):
    values = np.random.default_rng(n).random((n, 6, 5, 3), dtype=np.float32)
    background = Background(values, np.zeros(n, np.int64), tuple(map(str, range(n))), n)
    np.testing.assert_array_equal(background.median, np.median(values, axis=0))


def test_what_cannot_be_asked_gets_a_sentence(model, usual):
    images, targets, _ = usual
    explanation = explain(Cem(), model, images, targets, Streams(0))
    assert "name a split with role: reference, or set no_information to a colour" in explanation.reason
    inputs = keras.Input((16, 12, 3))
    rounded = L.Dense(4, activation="softmax")(L.Flatten()(keras.ops.round(inputs * 4)))
    steps = Classifier.from_network(keras.Model(inputs, rounded))
    assert "use occlusion instead" in explain(Cem(**QUICK), steps, images, targets, Streams(0)).reason


@pytest.mark.parametrize("kind", ["resnet", "one_logit", "grey28", "mixed_float16", "subclassed"])
def test_every_kind_of_model(kind):
    classifier = zoo.classifier(kind)
    images = some_images(classifier.input_shape, n=2, high=zoo.TOP.get(kind, 1.0))
    targets = Targets(classifier.probabilities(images.values).argmax(axis=1))
    weights = [w.copy() for w in classifier.network.get_weights()]
    method = Cem(max_iterations=6, c_steps=7, beta=0.01, clip=1e4, no_information="grey")
    parts = method(classifier, images, targets, Streams(0)).parts
    assert sum(part.found.sum() for part in parts) >= 2
    for part in parts:
        assert np.isfinite(part.values[part.found]).all()
    for now, then in zip(classifier.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)
