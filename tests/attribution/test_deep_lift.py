import dataclasses

import numpy as np
import pytest
from analytic_models import some_targets
from backward_cases import TOLERANCE, L, any_images, case, logits_of, network, of_kind, reason, run, worst_gap
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.attribution.methods.deep_lift import DeepLift
from fruitaudit.attribution.methods.deep_shap import DeepShap
from fruitaudit.models.keras import backward, propagation, rules_deep_lift, rules_maxima
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.classifier import Classifier


@pytest.mark.parametrize(
    "kind", ["nested_functional", "resnet", "relu6", "swish", "mixed_float16", "vit", "log_softmax"]
)
def test_adds_up_to_the_difference_of_the_logits(kind):
    model, images, targets = of_kind(kind)
    weights, gradient = model.network.get_weights(), model.gradient(images.values, targets.classes)
    explanation = run(DeepLift(), model, images, targets)
    black = np.broadcast_to(images.low, images.values.shape).astype(np.float32)
    difference = logits_of(model, images.values, targets) - logits_of(model, black, targets)
    tolerance = TOLERANCE.get(kind, 1e-4)
    assert worst_gap(explanation, difference) < tolerance
    assert worst_gap(explanation) < tolerance
    # The network is only read: weights, and gradients traced from now on, are as before.
    fresh = Classifier.from_network(model.network)
    np.testing.assert_allclose(fresh.gradient(images.values, targets.classes), gradient, rtol=1e-5, atol=1e-9)
    for now, then in zip(model.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.fixture(scope="module")
def small():
    return network(L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(9, "relu"), L.Dense(4))


@settings(max_examples=10, deadline=None)
@given(
    baseline=st.sampled_from(["black", "white", "grey"]),
    low=st.floats(-3, 0),
    span=st.floats(0.5, 4),
    seed=st.integers(0, 99),
)
def test_adds_up_whatever_the_images(small, baseline, low, span, seed):
    images, targets = any_images(small.input_shape, seed, low, span), some_targets(3, 4)
    empty = {"black": low, "white": low + span, "grey": low + span / 2}[baseline]
    at_baseline = np.full_like(images.values, empty)
    difference = logits_of(small, images.values, targets) - logits_of(small, at_baseline, targets)
    explanation = run(DeepLift(baseline=baseline), small, images, targets)
    assert worst_gap(explanation, difference) < 1e-3
    np.testing.assert_allclose(
        explanation.diagnostics["score_difference"], difference, atol=1e-4 * abs(difference).max()
    )


def test_on_a_linear_model_it_is_weight_times_difference():
    model = network(L.Flatten(), L.Dense(4))
    images, targets = case(model)
    w = np.asarray(model.network.layers[-1].kernel).reshape(8, 8, 3, 4)[..., targets.classes]
    expected = np.einsum("hwcn,nhwc->nhw", w, images.values - 1)
    np.testing.assert_allclose(run(DeepLift(baseline="white"), model, images, targets).values, expected, atol=1e-6)


def replica(model, x, r, k):
    """The rescale rule in loops, from the paper: two dense ReLU layers."""
    (w1, b1), (w2, _) = (layer.get_weights() for layer in model.network.layers if layer.weights)
    x, r = x.ravel(), r.ravel()
    z, z_r = x @ w1 + b1, r @ w1 + b1
    contributions = np.zeros(len(x))
    for j in range(len(z)):
        slope = (max(z[j], 0) - max(z_r[j], 0)) / (z[j] - z_r[j])
        contributions += w2[j, k] * slope * w1[:, j] * (x - r)
    return contributions


def test_is_the_papers_rescale_rule():
    model = network(L.Flatten(), L.Dense(12, activation="relu"), L.Dense(4, activation="softmax"))
    images, targets = case(model)
    maps = run(DeepLift(), model, images, targets).values
    for values, x, k in zip(maps, images.values, targets.classes, strict=True):
        expected = replica(model, x, np.zeros_like(x), k).reshape(8, 8, 3).sum(axis=-1)
        np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize("layers", [
    [L.MaxPooling2D(3, strides=2, padding="same")],
    [L.ReLU(), L.MaxPooling2D(3, strides=1)],
    [L.Conv2D(5, 3, padding="same", activation="relu"), L.MaxPooling2D()],
    [L.AveragePooling2D(2)],
    [L.DepthwiseConv2D(3), L.LeakyReLU()],
    [L.SeparableConv2D(4, 3, dilation_rate=2), L.ELU()],
    [L.Conv2DTranspose(4, 3, strides=2), L.Activation("softplus")],
    [L.ZeroPadding2D(2), L.UpSampling2D(interpolation="bilinear"), L.Activation("tanh")],
    [L.LayerNormalization(), L.Activation("hard_swish")],
    [L.GroupNormalization(3), L.Activation("selu")],
    [L.Conv2D(4, 3, activation="mish")],
    [L.Softmax()],
    [L.Activation("log_softmax")],
    [L.Cropping2D(1), L.GlobalMaxPooling2D()],
    [L.UnitNormalization()],
], ids=lambda layers: "-".join(layer.name.rstrip("_0123456789") for layer in layers))  # fmt: skip
def test_adds_up_whatever_the_layers(layers):
    model = network(L.Conv2D(6, 3), *layers, L.Flatten(), L.Dense(4))
    images, targets = case(model)
    assert worst_gap(run(DeepLift(baseline="grey"), model, images, targets)) < 1e-3


class Edge(keras.layers.Layer):
    """A first row that is brighter, so that of one colour only the windows below are even."""

    def call(self, x):
        return x + np.float32(0.3) * (np.arange(8) == 0)[:, None, None]


def of_maxima(model, x, r, k):
    """The rule of maxima in loops: 1 x 1 convolution, ReLU, windows of 2 x 2, dense."""
    (w1, b1), (w2, _) = (layer.get_weights() for layer in model.network.layers if layer.weights)
    added = Edge()(np.zeros((8, 8, 3), np.float32)).numpy() if isinstance(model.network.layers[0], Edge) else 0
    z, z_r = ((picture + added) @ w1[0, 0] + b1 for picture in (x, r))
    w2 = w2.reshape(4, 4, -1, 4)[..., k]
    multipliers = np.zeros_like(x)
    for i, j, c in np.ndindex(w2.shape):
        maximum, other = (trace[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c] for trace in (z, z_r))
        compared = maximum if np.ptp(other) < 1e-6 else np.maximum(maximum, other)
        place = np.unravel_index(compared.argmax(), (2, 2))
        slope = (max(maximum.max(), 0) - max(other.max(), 0)) / (maximum[place] - other[place])
        multipliers[2 * i + place[0], 2 * j + place[1]] += w2[i, j, c] * slope * w1[0, 0, :, c]
    return (multipliers * (x - r)).sum(axis=-1)


@pytest.mark.parametrize("before", [[], [Edge()]], ids=["even", "edge"])
@pytest.mark.parametrize("baseline", ["black", "grey", "white"])
def test_what_a_maximum_gains_over_one_colour_is_where_the_image_has_it(baseline, before):
    model = network(*before, L.Conv2D(6, 1, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(4))
    images, targets = case(model)
    picture = np.full((8, 8, 3), {"black": 0, "grey": 0.5, "white": 1}[baseline], np.float32)
    maps = run(DeepLift(baseline), model, images, targets).values
    background = dataclasses.replace(images.background, values=picture[None])
    by_shap = run(DeepShap(), model, dataclasses.replace(images, background=background), targets).values
    for values, other, x, k in zip(maps, by_shap, images.values, targets.classes, strict=True):
        expected = of_maxima(model, x, picture, k)
        np.testing.assert_allclose(values, expected, atol=1e-6)
        np.testing.assert_allclose(other, expected, atol=1e-6)


@pytest.mark.parametrize("pooling", [{"pool_size": 2}, {"pool_size": 3, "strides": 2}, {"padding": "same"}], ids=str)
def test_windows_known_to_be_even_and_those_found_so_are_the_same(monkeypatch, pooling):
    def made():
        convolution, last = (L.Conv2D(6, 2, activation=a) for a in ("relu", None))
        model = network(convolution, L.MaxPooling2D(**pooling), last, L.GlobalMaxPooling2D(), L.Dense(4))
        return run(DeepLift("white"), model, *case(model)).values

    declared = made()
    monkeypatch.setattr(rules_maxima, "_even", lambda *_: set())
    measured = made()
    np.testing.assert_allclose(measured, declared, atol=1e-6)
    monkeypatch.setattr(rules_maxima, "_where_uneven", lambda op, i, values: values)
    assert abs(made() - declared).max() > 0.1 * abs(declared).max()


class Ramp(keras.layers.Layer):
    def call(self, x):
        return x + np.linspace(0, 1, x.shape[1], dtype=np.float32)[:, None, None]


@pytest.mark.parametrize(("layers", "expected"), [
    ([L.MaxPooling2D()], [True]),
    ([L.Rescaling(2, -1), L.Conv2D(4, 3), L.BatchNormalization(), L.LeakyReLU(), L.MaxPooling2D()], [True]),
    ([L.DepthwiseConv2D(3), L.ReLU(6), L.MaxPooling2D(3, 2, "same"), L.AveragePooling2D(1), L.MaxPooling2D()],
     [True, True]),
    ([L.MaxPooling2D(), L.Conv2D(4, 3, padding="same", activation="relu"), L.MaxPooling2D()], [True, False]),
    ([L.ZeroPadding2D(), L.MaxPooling2D()], [False]),
    ([L.Conv2D(4, 3, dilation_rate=2, padding="same"), L.MaxPooling2D()], [False]),
    ([Ramp(), L.MaxPooling2D()], [False]),
    ([L.Permute((1, 3, 2)), L.Conv2D(4, 1), L.MaxPooling2D((2, 1))], [False]),
    ([L.Conv2DTranspose(4, 3), L.MaxPooling2D()], [False]),
], ids=lambda given: "-".join(getattr(one, "name", str(one)).rstrip("_0123456789") for one in given))  # fmt: skip
def test_values_said_to_be_the_same_at_every_place_are(layers, expected):
    model, message = network(*layers, L.Flatten(), L.Dense(4)), []

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, 8, 8, 3))] * 2)
    def values(images, colour):
        of_images, of_colour = model.in_graph(images), model.in_graph(colour)
        steps = backward.steps_between(images, of_images.logits, (colour, of_colour.logits))
        maxima = [s for s in rules_maxima.with_maxima(steps, colour) if s.op.type in rules_maxima.MAXIMA]
        message[:] = [s.even for s in maxima]
        assert not any(s.even for s in rules_maxima.with_maxima(steps) if s.op.type in rules_maxima.MAXIMA)
        return [s.partner_inputs[0] for s in maxima]

    at_colour = values(case(model)[0].values, np.tile(np.float32([0.1, 0.8, 0.3]), (1, 8, 8, 1)))
    assert message == expected
    for even, one in zip(message, at_colour, strict=True):
        assert (np.ptp(one, axis=(1, 2)).max() < 1e-6) == even


def test_flat_images_with_ties_in_every_maximum_add_up():
    model = network(L.Conv2D(6, 3), L.ReLU(), L.MaxPooling2D(), L.GlobalMaxPooling2D(), L.Dense(4))
    images, targets = case(model)
    images.values[:] = np.float32([0.2, 0.9, 0.4])
    assert run(DeepLift(), model, images, targets).diagnostics["additivity_error"].max() < 1e-5


@pytest.mark.parametrize("kind", ["Relu", "Relu6"])
def test_compiled_relus_have_the_same_numbers(kind):
    signal, x, r = np.random.default_rng(5).normal(2, 4, (3, 4, 6, 7, 5)).astype(np.float32)
    r[..., 0] = x[:1, ..., 0]
    r[..., 1] = np.nextafter(x[:1, ..., 1], 9)
    swept = rules_deep_lift._by_slope_fused(kind, signal, x[:1], r)
    np.testing.assert_array_equal(swept, rules_deep_lift._by_slope(kind, *map(tf.constant, (signal, x[:1], r))))


def test_a_large_network_with_compiled_relus_has_the_same_map(monkeypatch):
    swept, counted = rules_deep_lift._by_slope_fused, []
    monkeypatch.setattr(rules_deep_lift, "_by_slope_fused", lambda *given: counted.append(given[0]) or swept(*given))

    def made():
        layers = [L.Conv2D(6, 3), L.BatchNormalization(), L.ReLU(6), L.Conv2D(4, 3, activation="relu"), L.Flatten()]
        model = network(*layers, L.Dense(4))
        return run(DeepShap(background=5), model, *case(model)).values

    single = made()
    assert counted == []
    monkeypatch.setattr(propagation, "_MANY", 1)
    monkeypatch.setattr(rules_deep_lift, "_LARGE", 1)
    monkeypatch.setattr(rules_deep_lift.tf.config, "list_physical_devices", lambda kind: [])
    np.testing.assert_array_equal(made(), single)
    assert set(counted) == {"Relu", "Relu6"}


def test_an_image_equal_to_the_baseline_has_an_empty_map():
    model = network(L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(4))
    images, targets = case(model)
    images.values[0] = 0
    explanation = run(DeepLift(), model, images, targets)
    assert explanation.values[0].max() == explanation.values[0].min() == 0
    assert explanation.diagnostics["additivity_error"][0] < 1e-3, "two equal scores, but for rounding"


def test_a_wrong_rule_shows_in_the_additivity_error(monkeypatch):
    monkeypatch.setitem(rules_deep_lift.RULES, "Relu", rules_deep_lift.backward.gradient)
    model = network(L.Conv2D(6, 3, activation="relu"), L.Flatten(), L.Dense(9, activation="relu"), L.Dense(4))
    assert run(DeepLift(), model, *case(model)).diagnostics["additivity_error"].max() > 0.01


def test_operations_without_a_rule_are_named():
    class Odd(keras.layers.Layer):
        def call(self, x):
            return keras.ops.cumsum(keras.ops.sin(x), axis=1)

    model = network(Odd(), L.Flatten(), L.Dense(4))
    message = reason(DeepLift(), model, *case(model))
    assert message == "DeepLIFT has no rule for Cumsum, Sin in this model; use integrated_gradients instead"


def test_a_network_that_moves_images_from_the_first_axis_is_refused():
    class Aside(keras.layers.Layer):
        def call(self, x):
            return keras.ops.transpose(keras.ops.relu(keras.ops.transpose(x, (1, 0, 2, 3)) - 0.5), (1, 0, 2, 3))

    model = network(Aside(), L.Flatten(), L.Dense(4))
    assert "Relu in this model moves images from the first axis" in reason(DeepLift(), model, *case(model))
