"""The door to the model: what goes through it is right, counted, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo

from fruitaudit.errors import CannotExplain, ModelError
from fruitaudit.records.explanations import Explains
from fruitaudit.records.passes import Passes

KINDS = sorted(zoo.KINDS)
Get = Callable[[str], Any]
Draw = Callable[..., np.ndarray]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_the_models_own_and_softmax_of_the_logits(classifier: Get, images: Draw, kind: str) -> None:
    model = classifier(kind)
    x = images(model)
    p, z = model.scores(x)
    reference = np.asarray(model.network(x, training=False)).astype(np.float32)
    tolerance = 2e-3 if kind == "mixed_float16" else 1e-5
    expected = {
        "logits": softmax,
        "log_softmax": np.exp,
        "sigmoid": lambda y: np.hstack([1 - y, y]),
        "one_logit": lambda y: np.hstack([1 / (1 + np.exp(y)), 1 / (1 + np.exp(-y))]),
    }.get(kind, lambda y: y)(reference)
    np.testing.assert_allclose(p, expected, atol=tolerance)
    np.testing.assert_allclose(softmax(z), p, atol=1e-6)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert p.dtype == z.dtype == np.float32
    assert p.shape == (6, model.n_classes) == (6, 2 if kind in ("sigmoid", "one_logit") else 5)


# float16 rounds the differences away: its gradient is compared with the float32 model's below.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mixed_float16"])
@pytest.mark.parametrize("explains", ["logit", "probability"])
def test_gradient_predicts_the_change_along_itself(classifier: Get, images: Draw, kind: str, explains: str) -> None:
    """Central differences along g/|g|: (f(x + e d) - f(x - e d)) / 2e must be |g|."""
    model = classifier(kind)
    x, classes = images(model, 3), np.array([0, 1, 1])
    g = model.gradient(x, classes, explains)
    assert g.shape == x.shape
    assert g.dtype == np.float32
    length = np.sqrt((g.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    step = 1e-3
    direction = (g / length[:, None, None, None]).astype(np.float32)
    pick = {"logit": model.logits, "probability": model.probabilities}[explains]
    rows = np.arange(3)
    change = (pick(x + step * direction) - pick(x - step * direction))[rows, classes] / (2 * step)
    assert (length > 0).all()
    # Float32 differences of a deep network are good to a few percent, more or less so by processor.
    np.testing.assert_allclose(change, length, rtol=0.06)


def test_gradient_equals_an_eager_tape_on_a_network_without_softmax(classifier: Get, images: Draw) -> None:
    import tensorflow as tf

    model, plain = classifier("sequential"), zoo.KINDS["logits"]()
    plain.set_weights(model.network.get_weights())
    x, classes = images(model), np.array([0, 1, 2, 3, 4, 0])
    with tf.GradientTape() as tape:
        watched = tf.constant(x)
        tape.watch(watched)
        scores = tf.gather(plain(watched, training=False), classes, batch_dims=1)
    np.testing.assert_allclose(model.gradient(x, classes), tape.gradient(scores, watched), rtol=1e-5, atol=1e-8)


def test_gradient_in_float16_is_close_to_float32(classifier: Get, images: Draw) -> None:
    half, full = classifier("mixed_float16"), zoo.KINDS["sequential"]()
    full.set_weights(half.network.get_weights())
    from fruitaudit.models.keras.classifier import Classifier

    x, classes = images(half), np.zeros(6, np.int64)
    a, b = half.gradient(x, classes), Classifier.from_network(full).gradient(x, classes)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99


def test_both_classes_of_one_sigmoid_unit_have_opposite_gradients(classifier: Get, images: Draw) -> None:
    model = classifier("sigmoid")
    x = images(model)
    a, b = (model.gradient(x, np.full(6, k)) for k in (0, 1))
    np.testing.assert_array_equal(a, -b)
    assert np.abs(a).max() > 0


@pytest.mark.parametrize(("kind", "layer"), [("resnet", "block2_out"), ("added", "conv_2"), ("subclassed", "block")])
def test_layer_gradient_before_average_pooling_is_the_dense_weight(
    classifier: Get, images: Draw, kind: str, layer: str
) -> None:
    """z_c = sum_k W_kc mean_ij A_ijk + b_c, so dz_c/dA_ijk = W_kc / (h w) at every place."""
    model = classifier(kind)
    x, classes = images(model), np.array([0, 1, 2, 3, 4, 0])
    got = model.layer_gradients(x, classes, layer)
    n, h, w, k = got.activations.shape
    weights = np.asarray(model.network.get_layer("scores").kernel)
    expected = np.broadcast_to(weights.T[classes][:, None, None, :] / (h * w), (n, h, w, k))
    np.testing.assert_allclose(got.gradients, expected, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(got.scores, model.logits(x)[np.arange(n), classes], rtol=1e-5, atol=1e-6)
    bias = np.asarray(model.network.get_layer("scores").bias)[classes]
    np.testing.assert_allclose((got.activations * got.gradients).sum(axis=(1, 2, 3)) + bias, got.scores, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cam_layer_of_every_kind_is_spatial_and_has_a_gradient(classifier: Get, images: Draw, kind: str) -> None:
    """Its shape is the one the table tells, it is spatial, and a gradient reaches it."""
    model = classifier(kind)
    if model.cam_layer is None:
        assert kind in ("vit", "mlp")
        return
    x, classes = images(model), np.zeros(6, np.int64)
    got = model.layer_gradients(x, classes, model.cam_layer)
    assert got.activations.shape == got.gradients.shape
    assert got.activations.shape[1:] == model.trace.find(model.cam_layer).shape
    assert min(got.activations.shape[1:3]) > 1
    assert np.isfinite(got.gradients).all()
    assert np.abs(got.gradients).max() > 0


@pytest.mark.parametrize("kind", ["sequential", "nested_functional", "nested_sequential"])
def test_layer_gradient_follows_the_chain_rule_to_the_layer_before(classifier: Get, images: Draw, kind: str) -> None:
    """Dense logits z = W h + b: the gradient at h is W_c, the gradient at the logits' layer one."""
    model = classifier(kind)
    x, classes = images(model), np.array([0, 1, 2, 3, 4, 0])
    before = "hidden" if kind == "sequential" else "gap"
    got = model.layer_gradients(x, classes, before)
    weights = np.asarray(model.network.get_layer("scores").kernel)
    np.testing.assert_allclose(got.gradients, weights.T[classes], rtol=1e-5)
    np.testing.assert_allclose(got.activations, model.features(x), rtol=1e-5, atol=1e-6)


def _operations_of(model: Any) -> list[str]:
    """The kinds of the operations from the images to the logits, in order."""
    from fruitaudit.models.keras import backward

    traced: list[list[str]] = []

    def walked(x: Any) -> Any:
        logits = model.in_graph(x).logits
        traced.append([step.kind for step in backward.steps_between(x, logits)])
        return logits

    model.compiled(walked).get_concrete_function()
    return traced[0]


@pytest.mark.slow
def test_a_network_nested_in_a_sequential_is_to_the_door_what_it_is_in_a_functional(
    classifier: Get, images: Draw
) -> None:
    """All that methods see of a model, so that what they make of one they make of the other."""
    models = [classifier(kind) for kind in ("nested_functional", "nested_sequential")]
    assert len({model.sha256 for model in models}) == 1, "the same weights"
    x, classes = images(models[0], 3), np.array([0, 1, 2])
    assert models[0].layers == models[1].layers
    assert models[0].cam_layer == models[1].cam_layer
    cam_layer = models[0].cam_layer
    seen = []
    for model in models:
        kinds = _operations_of(model)
        inner = model.layer_gradients(x, classes, cam_layer)
        arrays = [*model.scores(x), model.gradient(x, classes), *model.features_at(x, (None, cam_layer))]
        arrays += [inner.activations, inner.gradients, inner.scores]
        seen.append((kinds, model.n_classes, model.hidden_layers, arrays))
    assert seen[0][:-1] == seen[1][:-1]
    for one, other in zip(seen[0][-1], seen[1][-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * abs(other).max())


def test_an_unknown_layer_is_refused_with_the_names_there_are(classifier: Get, images: Draw) -> None:
    model = classifier("sequential")
    with pytest.raises(CannotExplain, match=r"no layer conv_9 .*hidden, scores"):
        model.layer_gradients(images(model), np.zeros(6, np.int64), "conv_9")


@pytest.mark.parametrize("kind", ["sequential", "resnet", "vit"])
def test_neighbours_and_batch_size_do_not_matter(classifier: Get, images: Draw, kind: str) -> None:
    model = classifier(kind)
    x, classes = images(model, 7), np.arange(7) % 5
    p, g = model.probabilities(x), model.gradient(x, classes)
    for i in range(7):
        np.testing.assert_allclose(model.probabilities(x[i : i + 1])[0], p[i], atol=1e-6)
        np.testing.assert_allclose(model.gradient(x[i : i + 1], classes[i : i + 1])[0], g[i], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_same_input_same_bytes_and_untouched_weights(classifier: Get, images: Draw, kind: str) -> None:
    model = classifier(kind)
    x, classes = images(model), np.zeros(6, np.int64)
    stored = [np.array(v) for v in model.network.variables]

    def all_of_it() -> list[bytes]:
        parts = [*model.scores(x), model.gradient(x, classes), model.features(x)]
        if model.cam_layer:
            parts.append(model.layer_gradients(x, classes, model.cam_layer).gradients)
        return [part.tobytes() for part in parts]

    assert all_of_it() == all_of_it()
    for before, after in zip(stored, model.network.variables, strict=True):
        np.testing.assert_array_equal(before, np.array(after))


def test_every_image_is_counted_once(classifier: Get, images: Draw) -> None:
    model = classifier("sequential")
    x, classes = images(model, 6), np.zeros(6, np.int64)
    model.passes.reset()
    model.probabilities(x)
    model.logits(x)
    model.scores(x)
    model.features(x)
    assert model.passes.snapshot() == Passes(forward=24)
    before = model.passes.snapshot()
    model.gradient(x, classes)
    model.layer_gradients(x, classes, "conv_2")
    assert model.passes.since(before) == Passes(gradient=12)
    assert model.passes.total == 36
    model.passes.reset()
    assert model.passes.total == 0


@pytest.mark.parametrize("explains", ["logit", "probability"])
def test_the_gradient_of_a_difference_is_the_difference_of_gradients_at_the_cost_of_one(
    classifier: Get, images: Draw, explains: Explains
) -> None:
    model = classifier("sequential")
    x, a, b = images(model), np.arange(6) % 5, (np.arange(6) + 2) % 5
    expected = model.gradient(x, a, explains) - model.gradient(x, b, explains)
    model.passes.reset()
    gradient = model.gradient(x, a, explains, against=b)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())
    assert model.passes.gradient == 6
    with pytest.raises(ModelError, match="6 classes between 0 and 4"):
        model.gradient(x, a, explains, against=a + 1)


def test_no_images_give_empty_arrays(classifier: Get, images: Draw) -> None:
    model = classifier("sequential")
    none = images(model, 0)
    assert model.probabilities(none).shape == (0, 5)
    assert model.gradient(none, np.zeros(0, np.int64)).shape == (0, 32, 32, 3)


def test_arrays_that_do_not_fit_are_refused(classifier: Get, images: Draw) -> None:
    model = classifier("non_square")
    x = images(model)
    with pytest.raises(ModelError, match=r"24 x 40 x 3 .*not an array of shape \(6, 40, 24, 3\)"):
        model.probabilities(x.transpose(0, 2, 1, 3))
    with pytest.raises(ModelError, match="6 classes between 0 and 4"):
        model.gradient(x, np.array([0, 1, 2, 3, 4, 5]))
    with pytest.raises(ModelError, match="6 images need 6 classes"):
        model.gradient(x, np.array([0, 1]))


def test_a_file_gives_what_the_network_gave(saved: Path, classifier: Get, images: Draw) -> None:
    from fruitaudit.models.keras.classifier import open_classifier

    model = classifier("sequential")
    x, classes = images(model), np.arange(6) % 5
    for name in ("model.keras", "model.h5", "saved_model"):
        loaded = open_classifier(saved / name, allow_code=name == "saved_model", batch_size=4)
        np.testing.assert_array_equal(loaded.logits(x), model.logits(x), name)
        np.testing.assert_array_equal(loaded.gradient(x, classes), model.gradient(x, classes), name)
        assert loaded.head.kind == "softmax"


def test_an_open_image_size_comes_from_the_config() -> None:
    import keras
    from keras import layers

    from fruitaudit.models.keras.classifier import Classifier

    network = keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")]
    )
    with pytest.raises(ModelError, match=r"leaves the size.*model.preprocessing.size"):
        Classifier.from_network(network)
    assert Classifier.from_network(network, size=(20, 30)).input_shape == (20, 30, 3)
    with pytest.raises(ModelError, match=r"takes images of 32 x 32, but preprocessing.size says 20 x 30"):
        Classifier.from_network(zoo.KINDS["sequential"](), size=(20, 30))


def test_what_is_no_image_classifier_is_refused() -> None:
    import keras
    from keras import layers

    from fruitaudit.models.keras.classifier import Classifier

    image, other = keras.Input((8, 8, 3)), keras.Input((4,))
    flat = layers.Flatten()(image)
    a, b = layers.Dense(3, "softmax")(flat), layers.Dense(2, "softmax")(flat)
    both = layers.Dense(3, "softmax")(layers.Concatenate()([flat, other]))
    first = keras.Input((3, 8, 8))
    conv = layers.Conv2D(4, 3, data_format="channels_first")(first)
    fixed = keras.Input((8, 8, 3), batch_size=2)
    for network, message in (
        (keras.Model(image, [a, b]), "2 outputs"),
        (keras.Model([image, other], both), "2 inputs"),
        (keras.Model(other, layers.Dense(2, "softmax")(other)), r"shape \(None, 4\)"),
        (keras.Model(image, layers.Conv2D(2, 1)(image)), "not a classifier of whole images"),
        (keras.Model(first, layers.Dense(2, "softmax")(layers.Flatten()(conv))), "channels first"),
        (keras.Model(fixed, layers.Dense(2, "softmax")(layers.Flatten()(fixed))), "exactly 2 images"),
    ):
        with pytest.raises(ModelError, match=message):
            Classifier.from_network(network)


def test_numbers_are_the_callers_own_and_maps_are_not_to_be_written_to(classifier: Get) -> None:
    model = classifier("sequential")
    values, classes = np.zeros((2, *model.input_shape), np.float32), np.zeros(2, np.int64)
    for numbers in (model.logits(values), model.probabilities(values), model.features(values)):
        numbers[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        model.gradient(values, classes)[:] = 0
