"""Gradient and perturbation methods and the controls on every kind of model of the zoo: right, whatever is inside."""

from __future__ import annotations

import numpy as np
import pytest
import zoo
from analytic_models import some_images, some_targets, with_background

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.registry import native_methods
from fruitaudit.models.classifier import Classifier
from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime import Streams

METHODS = {
    name: method
    for name, method in native_methods().items()
    if method.registration.family in ("gradient", "perturbation", "control")
}
QUICK = {
    "expected_gradients": {"samples": 8, "references": 4},
    "integrated_gradients": {"steps": 64},
    "kernel_shap": {"samples": 64},
    "lime": {"samples": 60},
    "occlusion": {"patch": 12, "stride": 12},
    "partition_shap": {"samples": 40},
    "rise": {"samples": 40},
    "smoothgrad": {"samples": 3, "noise": 0.0},
    "vargrad": {"samples": 4},
}
ROUGH = {"nested_functional", "nested_sequential", "mixed_float16"}
"""Random weights under normalization, far from black; half precision."""
N = 2


@pytest.fixture(scope="module", params=zoo.KINDS)
def case(request):
    model = Classifier.from_network(zoo.KINDS[request.param](), batch_size=16)
    images = some_images(model.input_shape, n=N, high=zoo.TOP.get(model.network.name, 1.0))
    weights = [w.copy() for w in model.network.get_weights()]

    def run(name, targets=None, **options):
        method = METHODS[name](**QUICK.get(name, {}) | options)
        asked = targets or some_targets(N, model.n_classes)
        made = explain(method, model, with_background(method, images), asked, Streams(9))
        assert not isinstance(made, NotRun), made.reason
        return made

    yield request.param, model, run
    for now, then in zip(model.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_every_method_gives_finite_maps_that_are_not_empty(case):
    _, model, run = case
    for name in METHODS:
        made = run(name)
        assert made.values.shape == (N, *model.input_shape[:2]), name
        assert np.isfinite(made.values).all(), name
        assert (abs(made.values).max(axis=(1, 2)) > 0).all(), name


def test_integrated_gradients_add_up_or_say_that_they_do_not_converge(case):
    kind, _, run = case
    made = run("integrated_gradients", steps="auto")
    difference = made.diagnostics["score_difference"]
    gap = abs(made.values.sum(axis=(1, 2)) - difference) / abs(difference)
    np.testing.assert_allclose(made.diagnostics["completeness_error"], gap, rtol=0.05, atol=1e-4)
    poor = int((gap >= 0.01).sum())
    if kind in ROUGH:
        assert poor == 0 or f"{poor} of {N} maps do not converge" in made.notes[-1]
    else:
        assert poor == 0
        assert made.diagnostics["steps"].max() < 1024


def test_smoothgrad_without_noise_is_the_gradient(case):
    _, _, run = case
    gradient = run("saliency").values
    np.testing.assert_allclose(run("smoothgrad").values, gradient, rtol=1e-2, atol=1e-3 * gradient.max())


@pytest.mark.parametrize("name", ["kernel_shap", "partition_shap"])
def test_shapley_and_owen_values_add_up_to_the_difference_of_the_scores(case, name):
    _, _, run = case
    made = run(name, explains="logit")
    total = made.coefficients if name == "kernel_shap" else made.values.reshape(N, -1)
    difference = made.diagnostics["score_difference"]
    np.testing.assert_allclose(np.nansum(total, axis=1), difference, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["saliency", "integrated_gradients"])
def test_why_a_rather_than_b_is_the_difference_of_both(case, name):
    kind, _, run = case
    options = {"channels": "sum"} if name == "saliency" else {}
    a, b = np.zeros(N, np.int64), np.ones(N, np.int64)
    made = run(name, Targets(a, against=b, asked="contrast"), **options).values
    expected = run(name, Targets(a), **options).values - run(name, Targets(b), **options).values
    tolerance = 0.05 if kind == "mixed_float16" else 1e-3
    np.testing.assert_allclose(made, expected, rtol=tolerance, atol=tolerance * abs(expected).max())
