import dataclasses
import itertools

import numpy as np
import pytest
from analytic_models import some_images
from backward_cases import TOLERANCE, L, any_images, case, logits_of, network, of_kind, reason, run, worst_gap
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fruitaudit.attribution.methods.input_x_gradient import InputXGradient
from fruitaudit.attribution.methods.lrp import Lrp
from fruitaudit.models.keras import rules_lrp
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.explanations import Targets

ZERO = Lrp(dense="zero", convolution="zero", first="zero")


def positive(v):
    return np.maximum(v, 0)


def share(rule, number, a, w, b, z):
    """(J,): what each input takes of one unit of relevance of one unit, from the papers."""
    c = a * w
    if rule == "zero":
        return c / z
    if rule == "epsilon":
        return c / (z + number * np.sign(z))
    if rule == "gamma":
        more = (positive(c), positive(b)) if z >= 0 else (-positive(-c), -positive(-b))
        return (c + number * more[0]) / (z + number * (more[0].sum() + more[1]))
    if rule == "box":  # of values in 0..1
        d = c + positive(-w)
        return d / d.sum()
    alpha = 1.0 if rule == "z+" else number
    up, down = (positive(s * c) / ((positive(s * c).sum() + positive(s * b)) or 1) for s in (1, -1))  # none: kept
    return alpha * up - (alpha - 1) * down


def replica(model, x, k, inside, first):
    layers = [layer.get_weights() for layer in model.network.layers if layer.weights]
    values = [x.ravel().astype(float)]
    for w, b in layers[:-1]:
        values.append(positive(values[-1] @ w + b))
    relevance = np.zeros(4)
    relevance[k] = (values[-1] @ layers[-1][0] + layers[-1][1])[k]
    for i, ((w, b), a) in reversed(list(enumerate(zip(layers, values, strict=True)))):
        below = np.zeros(len(a))
        for unit in np.flatnonzero(relevance):
            z = a @ w[:, unit] + b[unit]
            below += relevance[unit] * share(*(first if i == 0 else inside), a, w[:, unit], b[unit], z)
        relevance = below
    return relevance.reshape(x.shape).sum(axis=-1)


INSIDE = [("zero", 0.0), ("epsilon", 0.1), ("gamma", 0.5), ("z+", 0.0), ("alpha", 3.0)]


@pytest.mark.parametrize(("inside", "first"), [
    *((rule, rule) for rule in INSIDE), (INSIDE[0], ("box", 0.0))
])  # fmt: skip
def test_is_what_the_papers_say(inside, first):
    model = network(L.Flatten(), *(L.Dense(12, activation="relu") for _ in range(2)), L.Dense(4, activation="softmax"))
    images, targets = case(model)
    texts = [f"{name} {number}" if number else name for name, number in (inside, first)]
    explanation = run(Lrp(dense=texts[0], first=texts[1]), model, images, targets)
    for values, x, k in zip(explanation.values, images.values, targets.classes, strict=True):
        expected = replica(model, x, k, inside, first)
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


def test_flat_shares_evenly_among_what_a_unit_sees_as_much_as_it_has():
    model = network(L.Conv2D(5, 2, strides=2, use_bias=False, activation="relu"), L.Flatten(), L.Dense(4))
    flat, zero = (run(Lrp(first=rule), model, *case(model)).values for rule in ("flat", "zero"))
    squares = [values.reshape(len(values), 4, 2, 4, 2) for values in (flat, zero)]
    np.testing.assert_allclose(np.ptp(squares[0], axis=(2, 4)), 0, atol=1e-6 * abs(flat).max())
    np.testing.assert_allclose(*(s.sum(axis=(2, 4)) for s in squares), rtol=1e-4, atol=1e-5 * abs(flat).max())


def test_flat_is_refused_where_a_unit_sees_every_pixel():
    model = network(L.Flatten(), L.Dense(12, activation="relu"), L.Dense(4))
    assert "first layer of this model is dense" in reason(Lrp(), model, *case(model))


@pytest.fixture(scope="module")
def without_bias():
    keras.utils.set_random_seed(8)
    images = keras.Input((12, 12, 3))
    x = L.Conv2D(6, 3, padding="same", use_bias=False, activation="relu")(images)
    y = L.DepthwiseConv2D(3, padding="same", use_bias=False, activation="relu")(x)
    x = L.MaxPooling2D()(L.Add()([x, L.Conv2D(6, 1, use_bias=False)(y)]))
    x = L.Flatten()(L.AveragePooling2D(2)(L.Conv2D(5, 3, use_bias=False, activation="relu")(x)))
    return Classifier.from_network(keras.Model(images, L.Dense(4, use_bias=False)(x)), batch_size=8)


ANY = {"seed": st.integers(0, 99), "low": st.floats(-3, 0), "span": st.floats(0.5, 4), "k": st.integers(0, 3)}


@settings(max_examples=10, deadline=None)
@given(**ANY)
def test_on_relu_networks_without_bias_the_zero_rule_is_input_times_gradient(without_bias, seed, low, span, k):
    images, targets = any_images(without_bias.input_shape, seed, low, span), Targets(np.full(3, k))
    maps = [run(method, without_bias, images, targets).values for method in (ZERO, InputXGradient(origin="zero"))]
    assert abs(maps[0]).max() > 0
    np.testing.assert_allclose(*maps, rtol=0, atol=1e-5 * abs(maps[0]).max())


KINDS = ["sequential", "mixed_float16", "preparing"]
ALIKE = ["resnet", "sigmoid", "subclassed", "swish", "gelu", "relu6", "grouped"]
"""With the rules of every day the matrix asks them, in the fast tests."""
ALPHA, GAMMA = {"convolution": "alpha 2"}, {"convolution": "gamma", "first": "box"}
ALL_ZERO = {"convolution": "zero", "dense": "zero", "first": "zero"}
RULES = [{}, GAMMA, ALPHA, {"convolution": "epsilon 1e-7"}, ALL_ZERO]


@pytest.mark.parametrize(("kind", "rules"), [
    *itertools.product(KINDS, RULES),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in itertools.product(ALIKE, RULES)),
    ("nested_sequential", {}),  # the same network
    *itertools.product(["nested_functional"], [GAMMA, ALL_ZERO, ALPHA]),
], ids=str)  # fmt: skip
def test_relevance_is_conserved(kind, rules):
    # The activations of this kind are so small that epsilon 1e-6 takes half a percent of the smallest score.
    rules = {"dense": "epsilon 1e-9"} | rules if kind == "grouped" else rules
    explanation = run(Lrp(**rules), *of_kind(kind))
    assert worst_gap(explanation) < TOLERANCE.get(kind, 1e-3)
    error, score = explanation.diagnostics["conservation_error"], abs(explanation.diagnostics["score"])
    loss = (
        explanation.diagnostics["score"]
        - explanation.values.sum(axis=(1, 2), dtype=np.float64)
        - explanation.diagnostics["kept_inside"]
    )
    np.testing.assert_allclose(abs(loss), error * score, rtol=1e-5)


@pytest.fixture(scope="module")
def small():
    return network(L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(9, "relu"), L.Dense(4))


@settings(max_examples=10, deadline=None)
@given(convolution=st.sampled_from(["z+", "gamma 0.5", "alpha 2", "epsilon 1e-7"]), **ANY)
def test_relevance_is_conserved_whatever_the_images(small, convolution, seed, low, span, k):
    images, targets = any_images(small.input_shape, seed, low, span), Targets(np.full(3, k))
    # Epsilon takes what it takes: of scores that nearly cancel, a thousandth.
    explanation = run(Lrp(dense="zero", convolution=convolution, first=convolution), small, images, targets)
    assert worst_gap(explanation, logits_of(small, images.values, targets)) < 1e-3


@pytest.mark.parametrize("rule", ["z+", "gamma", "alpha 2"])
def test_relevance_is_conserved_where_activations_are_tiny(rule):
    """Weights of a millionth, and a million times the weights after them: the same network."""
    model = network(
        L.Conv2D(6, 3, activation="relu"), L.Conv2D(4, 3, use_bias=False), L.ReLU(), L.Flatten(), L.Dense(4)
    )
    tiny, huge = model.network.layers[1].kernel, model.network.layers[-1].kernel
    expected = run(Lrp(convolution=rule, dense="zero"), model, *case(model)).values
    tiny.assign(tiny * 1e-6)
    huge.assign(huge * 1e6)
    explanation = run(Lrp(convolution=rule, dense="zero"), model, *case(model))
    np.testing.assert_allclose(explanation.values, expected, rtol=0, atol=1e-4 * abs(expected).max())
    assert worst_gap(explanation) < 1e-4


def by_hand(*heads):
    """Four pixels, two dense units, and two classes that see what the heads make of them; all weights set by hand."""
    images = keras.Input((2, 2, 1))
    hidden = L.Dense(2, use_bias=False, name="hidden")(L.Flatten()(images))
    x = L.Concatenate()([head(hidden) for head in heads]) if len(heads) > 1 else heads[0](hidden)
    network = keras.Model(images, L.Dense(2, use_bias=False, name="scores")(x))
    pixels = np.array([1, 2, 0, 1], np.float32).reshape(1, 2, 2, 1)
    return network, dataclasses.replace(some_images((2, 2, 1), 1, high=2), values=pixels)


def test_a_unit_cut_off_by_relu6_has_the_relevance_of_what_is_left():
    network, images = by_hand(L.ReLU(6))
    network.get_layer("hidden").set_weights([np.array([[2, 1], [3, -1], [5, 7], [0, -1]])])  # 8, cut off at 6; and -2
    network.get_layer("scores").set_weights([np.array([[0.5, 0], [-4, 0]])])
    explanation = run(ZERO, Classifier.from_network(network), images, Targets(np.array([0])))
    # 0.5 * 6 = 3, to the pixels as 2 and 6 of 8; the unit at -2 says nothing.
    np.testing.assert_allclose(explanation.values[0], [[0.75, 2.25], [0, 0]], rtol=1e-6)
    assert explanation.diagnostics["score"] == pytest.approx(3)
    assert explanation.diagnostics["kept_inside"] == 0


@pytest.mark.parametrize("heads", [1, 2])
def test_z_plus_keeps_the_relevance_of_a_unit_that_nothing_speaks_for_but_that_more_than_a_relu_reads(heads):
    network, images = by_hand(*[L.ReLU(), L.Activation("linear")][:heads])
    # Units of -1 - 2 - 1 = -4 and of 1 + 2 + 2 = 5.
    network.get_layer("hidden").set_weights([np.array([[-1, 1], [-1, 1], [-1, -1], [-1, 2]])])
    network.get_layer("scores").set_weights([np.array([[3, 0], [1, 0], [2, 0], [-0.5, 0]])[: 2 * heads]])
    explanation = run(Lrp(dense="zero", first="z+"), Classifier.from_network(network), images, Targets(np.array([0])))
    # Behind the ReLU 3 * 0 and 1 * 5; read as they are 2 * -4 = -8, which no pixel can have, and -0.5 * 5 = -2.5.
    relevance, kept_inside = {1: (5, 0), 2: (2.5, -8)}[heads]
    np.testing.assert_allclose(explanation.values[0], np.array([[1, 2], [0, 2]]) / 5 * relevance, rtol=1e-6)
    assert explanation.diagnostics["kept_inside"] == pytest.approx(kept_inside)
    assert explanation.diagnostics["score"] == pytest.approx(relevance + kept_inside)


def test_normalization_is_joined_with_the_weights_before_it():
    layers = [L.Conv2D(5, 3, name="conv"), L.BatchNormalization(name="bn"), L.ReLU(), L.Flatten(), L.Dense(4)]
    model = network(L.Rescaling(2.0, -1.0), L.ZeroPadding2D(1), *layers)
    rng = np.random.default_rng(3)
    gamma, beta, mean, variance = (*rng.normal(0, 1, (3, 5)), rng.uniform(0.5, 2, 5))
    model.network.get_layer("bn").set_weights([gamma, beta, mean, variance])
    joined = network(L.Rescaling(2.0, -1.0), L.Conv2D(5, 3, padding="same"), L.ReLU(), L.Flatten(), L.Dense(4))
    kernel, bias = model.network.get_layer("conv").get_weights()
    scale = gamma / np.sqrt(variance + 1e-3)
    joined.network.layers[1].set_weights([kernel * scale, (bias - mean) * scale + beta])
    joined.network.layers[-1].set_weights(model.network.layers[-1].get_weights())
    for rules in ({"first": "alpha 2"}, {"first": "gamma"}, {"first": "flat"}, {"first": "box"}):
        maps = [run(Lrp(**rules), which, *case(which)).values for which in (model, joined)]
        np.testing.assert_allclose(*maps, rtol=1e-3, atol=1e-4 * abs(maps[0]).max(), err_msg=str(rules))


def test_resizing_inside_the_network_is_preparation():
    """The rule for the first layer is that of the convolution behind it; a resized pixel is made of its neighbours."""
    model, images, targets = of_kind("preparing")
    flat, plus = (run(Lrp(first=rule), model, images, targets).values for rule in ("flat", "z+"))
    assert abs(flat - plus).max() > 0.1 * abs(plus).max()
    half = network(L.Resizing(4, 4), L.Conv2D(6, 3, activation="relu"), L.Flatten(), L.Dense(4))
    images, targets = case(half)
    small = half.network.layers[0](images.values).numpy()
    behind = network(L.Conv2D(6, 3, activation="relu"), L.Flatten(), L.Dense(4), shape=(4, 4, 3))
    behind.network.set_weights(half.network.get_weights())
    below = run(Lrp(), behind, dataclasses.replace(images, values=small), targets).values
    maps = run(Lrp(), half, images, targets).values
    # From 8 to 4 the value of a place is the mean of the four pixels in its middle.
    np.testing.assert_allclose(maps.reshape(3, 4, 2, 4, 2).sum(axis=(2, 4)), below, atol=1e-5 * abs(below).max())


def test_a_gate_gets_nothing_and_what_it_gates_gets_all():
    keras.utils.set_random_seed(6)
    images = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, activation="relu", use_bias=False)(images)
    gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D()(x))
    x = L.Multiply()([x, L.Reshape((1, 1, 4))(gate)])
    model = Classifier.from_network(keras.Model(images, L.Dense(4, use_bias=False)(L.Flatten()(x))))
    explanation = run(ZERO, model, *case(model))
    np.testing.assert_allclose(explanation.values.sum(axis=(1, 2)), explanation.diagnostics["score"], rtol=1e-3)


def test_lost_relevance_shows_in_the_conservation_error():
    explanation = run(Lrp(dense="epsilon 0.5"), *of_kind("sequential"))
    assert explanation.diagnostics["conservation_error"].max() > 0.1


def test_bias_that_is_not_accounted_for_shows_in_the_conservation_error(monkeypatch):
    monkeypatch.setattr(rules_lrp.Propagation, "_absorb", lambda *_: None)
    assert run(ZERO, *of_kind("resnet", own=True)).diagnostics["conservation_error"].max() > 0.05


def test_every_option_changes_the_map():
    model, images, targets = of_kind("sequential")
    default_maps = run(Lrp(), model, images, targets).values
    for option, value in Lrp.registration.sensitivity_options:
        other = run(Lrp(**{option: value}), model, images, targets).values
        assert abs(other - default_maps).max() > 1e-3 * abs(default_maps).max(), option


def test_attention_is_named():
    message = reason(Lrp(), *of_kind("vit"))
    assert "has no rule for BatchMatMulV2, Einsum," in message
    assert message.endswith("in this model; use integrated_gradients instead")


def test_two_signals_multiplied_without_a_gate_are_named():
    class Squared(keras.layers.Layer):
        def call(self, x):
            return x * keras.ops.relu(x)

    model = network(L.Conv2D(4, 3), Squared(), L.Flatten(), L.Dense(4))
    assert "has no rule for Mul of two signals in this model" in reason(Lrp(), model, *case(model))


@pytest.mark.parametrize("options", [
    {"dense": "flat"}, {"convolution": "box"}, {"first": "gama"}, {"dense": "epsilon x"}, {"dense": "zero 1"}
])  # fmt: skip
def test_rules_that_do_not_exist_are_refused(options):
    with pytest.raises(ValidationError):
        Lrp(**options)
