"""What gradient and perturbation methods share, on every kind of model: identities, and weights that stay as they are.

That each method works on each kind, or says why not, is in `test_matrix`.
"""

from __future__ import annotations

import matrix
import numpy as np
import pytest
import zoo
from analytic_models import quick, some_images, some_targets, with_background

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.registry import native_methods
from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

N = matrix.N


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=() if kind in matrix.FEW else pytest.mark.slow) for kind in matrix.KINDS],
)
def case(request):
    model = matrix.classifier(request.param)
    images = some_images(model.input_shape, n=N, high=zoo.TOP.get(request.param, 1.0))
    weights = [w.copy() for w in model.network.get_weights()]

    def run(name, targets=None, **options):
        method = quick(native_methods()[name], **options)
        requested = targets or some_targets(N, model.n_classes)
        explanation = explain(method, model, with_background(method, images), requested, Streams(9))
        assert not isinstance(explanation, NotRun), explanation.reason
        return explanation

    yield request.param, run
    for now, then in zip(model.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_smoothgrad_without_noise_is_the_gradient(case):
    _, run = case
    gradient = run("saliency").values
    np.testing.assert_allclose(run("smoothgrad", noise=0.0).values, gradient, rtol=1e-2, atol=1e-3 * gradient.max())


@pytest.mark.parametrize("name", ["kernel_shap", "partition_shap"])
def test_shapley_and_owen_values_of_the_logit_add_up_to_its_difference(case, name):
    _, run = case
    explanation = run(name, explains="logit")
    total = explanation.coefficients if name == "kernel_shap" else explanation.values.reshape(N, -1)
    np.testing.assert_allclose(
        np.nansum(total, axis=1), explanation.diagnostics["score_difference"], rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("name", ["saliency", "integrated_gradients"])
def test_why_a_rather_than_b_is_the_difference_of_both(case, name):
    kind, run = case
    options = {"channels": "sum"} if name == "saliency" else {"steps": 64}
    a, b = np.zeros(N, np.int64), np.ones(N, np.int64)
    maps = run(name, Targets(a, against=b, rule="contrast"), **options).values
    expected = run(name, Targets(a), **options).values - run(name, Targets(b), **options).values
    tolerance = 0.05 if kind == "mixed_float16" else 1e-3
    np.testing.assert_allclose(maps, expected, rtol=tolerance, atol=tolerance * abs(expected).max())
