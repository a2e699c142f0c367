"""The contract once more, through the real door to Keras, on small networks of several kinds; providers included."""

from __future__ import annotations

import contextlib
import dataclasses
import re

import numpy as np
import pytest
from analytic_models import assert_same_maps, quick, some_images, some_targets, with_background

from fruitaudit.attribution.base import CONVOLUTION, POOLING_HEAD, SPATIAL, background_of, passes_of
from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.providers.registry import all_methods
from fruitaudit.records.data import Background
from fruitaudit.records.explanations import Maps, Segments, Targets
from fruitaudit.records.packing import pack
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

L = keras.layers


def cnn(shape, *head):
    return [
        L.Input(shape),
        L.Conv2D(6, 3, padding="same", activation="relu", name="early"),
        L.MaxPooling2D(),
        L.Conv2D(8, 3, activation="relu", name="late"),
        L.MaxPooling2D(),
        L.Flatten(),
        *head,
    ]


def nested():
    inner = keras.Sequential([L.Input((24, 24, 3)), L.Conv2D(6, 3, activation="swish"), L.BatchNormalization()])
    return keras.Sequential([
        L.Input((24, 24, 3)), L.Rescaling(2.0, -1.0), inner, L.GlobalAveragePooling2D(), L.Dense(4), L.Softmax()
    ])  # fmt: skip


KINDS = {
    "softmax": lambda: keras.Sequential(cnn((24, 20, 3), L.Dense(4, activation="softmax"))),
    "logits": lambda: keras.Sequential(cnn((24, 24, 3), L.Dense(4))),
    "grey": lambda: keras.Sequential(cnn((28, 28, 1), L.Dense(4), L.Softmax())),
    "one sigmoid unit": lambda: keras.Sequential(cnn((24, 24, 3), L.Dense(1, activation="sigmoid"))),
    "nested, BatchNorm, swish": nested,
    "dense only": lambda: keras.Sequential([L.Input((8, 8, 3)), L.Flatten(), L.Dense(3, activation="softmax")]),
}
NATIVE = [method for (_, provider), method in all_methods().items() if provider == "native"]
ELSEWHERE = {"alibi", "shap"}
"""Providers that run in a process of their own, for seconds a call: tests/parity asks for them."""
START = {
    "nothing": lambda model, references: 0,
    "black": lambda model, references: model.logits(np.zeros((1, *model.input_shape), np.float32)),
    "background": lambda model, references: model.logits(references).mean(axis=0),
}
"""Logits of what attributions add up to less than the image's, where it is no matter of an option."""
PROVIDED = [
    method
    for (_, provider), method in all_methods().items()
    if provider not in {"native", *ELSEWHERE} and method.registration.subject == "image"
]


@pytest.fixture(scope="module")
def models():
    explanation = {}
    for kind, make in KINDS.items():
        keras.utils.set_random_seed(1)
        explanation[kind] = Classifier.from_network(make(), batch_size=8)
    return explanation


def identity(method):
    return f"{method.registration.name}@{method.registration.provider}"


def run(method, model, images, targets, **options):
    explanation = quick(method, **options)
    images = images if images.background else with_background(explanation, images)
    # With seed 9 one of SmoothGrad's copies lies on a kink of the grey network, with 8 a picture of activation
    # maximization on one of the sigmoid's: there batches decide by rounding.
    return explain(explanation, model, images, targets, Streams(10))


def case(method, model):
    """Images with reference images to compare with; none of their own for a method about the model."""
    references = some_images(model.input_shape, n=12, seed=1)
    background = Background(references.values, np.arange(12) % model.n_classes, references.sample_ids, 12)
    n = 3 if method.registration.subject == "image" else 0
    images = dataclasses.replace(some_images(model.input_shape, n=3), background=background).select(slice(0, n))
    return images, some_targets(n, model.n_classes)


def lacks(method, model):
    """Whether the model has not what the method says it needs."""
    there = {
        SPATIAL: model.cam_layer,
        CONVOLUTION: any("Conv" in layer.kind for layer in model.layers),
        POOLING_HEAD: any("GlobalAverage" in layer.kind for layer in model.layers),
    }
    return not all(there.get(one, True) for one in method.registration.requires)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind == "softmax" else ()) for kind in KINDS]
)
@pytest.mark.parametrize("method", NATIVE, ids=identity)
def test_native_methods_keep_the_contract(method, kind, models, capfd):
    model = models[kind]
    images, targets = case(method, model)
    weights = [w.copy() for w in model.network.get_weights()]
    before = model.passes.snapshot()
    explanation = run(method, model, images, targets)
    assert capfd.readouterr() == ("", "")
    if lacks(method, model):
        assert "instead" in explanation.reason
        return
    if isinstance(explanation, NotRun) and method.registration.family == "backward":
        unruled = re.search(r"has no rule for \w+.* in this model; use \w+.* instead", explanation.reason)
        flat = "the first layer of this model is dense" in explanation.reason
        assert unruled if kind == "nested, BatchNorm, swish" else kind == "dense only" and flat, explanation.reason
        return
    assert not isinstance(explanation, NotRun), explanation.reason
    assert explanation.diagnostics.keys() <= {one.name for one in method.registration.diagnostics}
    announced, made_of = passes_of(quick(method), model, len(images)), model.passes.since(before)
    at_most = method.registration.upper_bound
    assert made_of.forward <= announced.forward if at_most else made_of == announced
    repeated = run(method, model, images, targets)
    assert {k: v.tobytes() for k, v in pack(explanation).items()} == {k: v.tobytes() for k, v in pack(repeated).items()}
    if isinstance(explanation, Maps | Segments):
        keeps_the_contract_of_maps(method, model, images, targets, explanation)
    elif method.registration.name != "cem" or kind == "logits":  # seconds a run
        is_the_same_in_other_batches(method, model, images, targets, explanation)
    for now, then in zip(model.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def keeps_the_contract_of_maps(method, model, images, targets, made):
    assert made.values.shape == images.values.shape[:3]
    assert np.isfinite(made.values).all()
    constant = method.registration.name == "vargrad" and model.cam_layer is None  # the gradient of a linear model
    assert (abs(made.values).max() == 0) == constant
    # In another order, one with a stranger beside it, and one alone.
    order = np.array([2, 0])
    strangers = some_images(model.input_shape, n=1, seed=50)
    both = dataclasses.replace(
        images,
        values=np.concatenate([strangers.values, images.values]),
        sample_ids=(*strangers.sample_ids, *images.sample_ids),
    )
    among, classes = both.select(np.array([0, 3, 1])), targets.classes[order]
    with batches_of(model, 2):
        moved = run(method, model, among, Targets(np.array([1, *classes])))
    assert_same_maps(method, moved.values[1:], made.values[order])


def is_the_same_in_other_batches(method, model, images, targets, made):
    with batches_of(model, 1):
        alone = pack(run(method, model, images, targets))
    for name, whole in pack(made).items():
        if whole.dtype.kind == "f" and np.isfinite(whole).any():
            np.testing.assert_allclose(alone[name], whole, rtol=0, atol=1e-5 * np.nanmax(abs(whole)), err_msg=name)
        else:
            np.testing.assert_array_equal(alone[name], whole, err_msg=name)


@contextlib.contextmanager
def batches_of(model, size):
    model.batch_size, default = size, model.batch_size
    try:
        yield
    finally:
        model.batch_size = default


@pytest.mark.parametrize(
    "kind",
    ["logits", *(pytest.param(k, marks=pytest.mark.slow) for k in ("one sigmoid unit", "nested, BatchNorm, swish"))],
)
@pytest.mark.parametrize("method", [m for m in NATIVE if m.registration.subject == "image"], ids=identity)
def test_a_contrast_is_of_two_logits_or_refused(method, kind, models):
    """Never the map of A alone; where the method is linear in the score, that of A less that of B."""
    model = models[kind]
    images, targets = case(method, model)
    rivals = (targets.classes + 1) % model.n_classes
    explanation = run(method, model, images, Targets(targets.classes, rivals, "contrast"))
    if not method.registration.contrast:
        assert "cannot tell why one class was preferred to another" in explanation.reason
        return
    of_logits = {"explains": "logit"} if hasattr(method, "explains") else {}
    alone, rival = (run(method, model, images, Targets(classes), **of_logits) for classes in (targets.classes, rivals))
    if isinstance(explanation, NotRun):
        assert explanation == alone
        return
    if method.registration.family == "control":
        np.testing.assert_array_equal(explanation.values, alone.values)
        return
    scale = abs(alone.values).max()
    # Of two classes that share a logit, A rather than B is twice A, and the sweep's maps are shares of their sums.
    twice = (method.registration.name, kind) == ("smoothgrad_sweep", "one sigmoid unit")
    assert twice or abs(explanation.values - alone.values).max() > 1e-2 * scale
    back = run(method, model, images, Targets(rivals, targets.classes, "contrast"))
    if method.registration.linear:
        np.testing.assert_allclose(explanation.values, alone.values - rival.values, rtol=1e-3, atol=1e-4 * scale)
        np.testing.assert_allclose(explanation.values, -back.values, rtol=1e-3, atol=1e-4 * scale)
    adds_up = method.registration.adds_up
    if adds_up and adds_up.within and adds_up.less in START:
        references = images.background.values[: background_of(quick(method))]
        gains, rows = model.logits(images.values) - START[adds_up.less](model, references), np.arange(3)
        expected = gains[rows, targets.classes] - gains[rows, rivals]
        inside = explanation.diagnostics.get("kept_inside", 0)
        total = (
            np.nansum(explanation.coefficients, axis=1)
            if isinstance(explanation, Segments)
            else explanation.values.sum(axis=(1, 2))
        )
        np.testing.assert_allclose(total + inside, expected, rtol=adds_up.within, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_integrated_gradients_are_complete_on_every_kind(kind, models):
    model = models[kind]
    images, targets = some_images(model.input_shape, n=3), some_targets(3, model.n_classes)
    explanation = IntegratedGradients(steps=100)(model, images, targets, Streams(0))
    difference = explanation.diagnostics["score_difference"]
    gap = abs(explanation.values.sum(axis=(1, 2)) - difference)
    assert (gap <= 0.01 * abs(difference) + 1e-3).all()


@pytest.mark.parametrize("kind", ["logits", "grey", "dense only"])
@pytest.mark.parametrize("method", PROVIDED, ids=identity)
def test_providers_keep_the_contract_or_say_why_not(method, kind, models, capfd):
    model = models[kind]
    images, targets = some_images(model.input_shape, n=3), some_targets(3, model.n_classes)
    weights = [w.copy() for w in model.network.get_weights()]
    state = np.random.get_state()[1].copy()
    explanation = run(method, model, images, targets)
    assert capfd.readouterr() == ("", "")
    if SPATIAL in method.registration.requires and model.cam_layer is None:
        assert "spatial activation" in explanation.reason
        return
    if (identity(method), kind) == ("occlusion@tf-explain", "logits"):
        assert "this model's outputs are no probabilities" in explanation.reason
        return
    assert not isinstance(explanation, NotRun), explanation.reason
    assert explanation.values.tobytes() == run(method, model, images, targets).values.tobytes()
    assert abs(explanation.values).max() > 0
    alone = run(method, model, images.select(np.array([2])), type(targets)(targets.classes[[2]]))
    np.testing.assert_allclose(
        alone.values[0], explanation.values[2], rtol=0, atol=1e-5 * abs(explanation.values[2]).max()
    )
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    for now, then in zip(model.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("method", PROVIDED, ids=identity)
def test_every_option_of_a_provider_changes_its_map(method, models):
    changes = dict(method.registration.sensitivity_options + method.registration.contract_options)
    assert set(changes) == {field.name for field in dataclasses.fields(method)}
    model = models["grey"]
    images, targets = some_images(model.input_shape, n=2), some_targets(2, 4)
    default_maps = run(method, model, images, targets).values
    for option, value in changes.items():
        other = run(method, model, images, targets, **{option: value}).values
        assert abs(other - default_maps).max() > 1e-3 * abs(default_maps).max(), option


@pytest.mark.parametrize("method", PROVIDED, ids=identity)
def test_providers_say_that_one_sigmoid_unit_is_not_theirs(method, models):
    model = models["one sigmoid unit"]
    explanation = run(method, model, some_images(model.input_shape, n=2), some_targets(2, 2))
    assert (
        explanation.reason
        == "this library explains models with one output per class only; use the native method instead"
    )
