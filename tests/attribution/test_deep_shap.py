import dataclasses

import matrix
import numpy as np
import pytest
import zoo
from analytic_models import some_targets
from backward_cases import TOLERANCE, L, any_images, case, logits_of, network, of_kind, reason, run, worst_gap
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.attribution.methods.deep_lift import DeepLift
from fruitaudit.attribution.methods.deep_shap import DeepShap


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in matrix.FEW else pytest.mark.slow)
        for kind in sorted(zoo.KINDS.keys() - {"nested_functional"})
    ],
)
def test_adds_up_to_the_difference_from_the_mean_logit_on_every_kind_of_model(kind):
    model, images, targets = of_kind(kind)
    explanation = run(DeepShap(background=5), model, images, targets)
    mean = model.logits(images.background.values).mean(axis=0)[targets.classes]
    difference = logits_of(model, images.values, targets) - mean
    tolerance = TOLERANCE.get(kind, 1e-4)
    assert worst_gap(explanation, difference) < tolerance
    assert worst_gap(explanation) < tolerance


@pytest.fixture(scope="module")
def small():
    return network(L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(9, "relu"), L.Dense(4))


@settings(max_examples=10, deadline=None)
@given(n=st.integers(1, 9), low=st.floats(-3, 0), span=st.floats(0.5, 4), seed=st.integers(0, 99))
def test_adds_up_whatever_the_images_and_the_number_of_references(small, n, low, span, seed):
    images, targets = any_images(small.input_shape, seed, low, span, references=n), some_targets(3, 4)
    mean = small.logits(images.background.values).mean(axis=0)[targets.classes]
    explanation = run(DeepShap(background=9), small, images, targets)
    assert worst_gap(explanation, logits_of(small, images.values, targets) - mean) < 1e-3


def test_is_the_mean_of_deep_lift_over_the_references():
    model = network(L.Conv2D(6, 3, activation="swish"), L.MaxPooling2D(), L.Flatten(), L.Dense(4))
    images, targets = case(model)
    flat = np.float32([0.0, 0.5, 1.0])[:, None, None, None] + np.zeros((3, 8, 8, 3), np.float32)
    background = dataclasses.replace(images.background, values=flat)
    explanation = run(DeepShap(), model, dataclasses.replace(images, background=background), targets)
    single = [run(DeepLift(baseline=fill), model, images, targets).values for fill in ("black", "grey", "white")]
    np.testing.assert_allclose(explanation.values, np.mean(single, axis=0), atol=1e-6)


def test_number_of_references_at_once_changes_nothing():
    model, images, targets = of_kind("sequential", own=True)
    whole = run(DeepShap(), model, images, targets).values
    model.batch_size = 2
    np.testing.assert_allclose(run(DeepShap(), model, images, targets).values, whole, atol=1e-5 * abs(whole).max())


def test_further_classes_are_the_most_probable_ones_and_their_sum_is_of_all():
    model, images, targets = of_kind("sequential")
    explanation = run(DeepShap(classes=5, total=True), model, images, targets)
    order = np.argsort(-model.probabilities(images.values).mean(axis=0))
    assert list(explanation.parts) == [f"class {k}" for k in order] + ["sum of all classes"]
    assert explanation.classes == {f"class {k}": k for k in order}
    every = np.stack([explanation.parts[f"class {k}"] for k in range(5)])
    np.testing.assert_allclose(explanation.parts["sum of all classes"], every.sum(axis=0), atol=1e-6)
    np.testing.assert_allclose(explanation.values, every[targets.classes, np.arange(3)], atol=1e-6)
    assert list(run(DeepShap(classes=2), model, images, targets).parts) == [f"class {k}" for k in order[:2]]
    assert not run(DeepShap(), model, images, targets).parts


def test_passes_are_those_announced():
    model, images, targets = of_kind("sequential")
    for method in (DeepShap(background=5), DeepShap(background=5, classes=2, total=True), DeepLift()):
        before = model.passes.snapshot()
        run(method, model, images, targets)
        assert model.passes.since(before) == method.model_passes(3, model.input_shape)


def test_uses_no_more_references_than_asked_for():
    model, images, targets = of_kind("sequential")
    few = dataclasses.replace(images.background, values=images.background.values[:2])
    expected = run(DeepShap(), model, dataclasses.replace(images, background=few), targets).values
    maps = run(DeepShap(background=2), model, images, targets).values
    np.testing.assert_array_equal(maps, expected)
    assert abs(maps - run(DeepShap(), model, images, targets).values).max() > 1e-3 * abs(maps).max()


def test_without_references_it_says_what_to_add():
    model, images, targets = of_kind("mlp")
    message = reason(DeepShap(), model, dataclasses.replace(images, background=None), targets)
    assert "add a split with the role reference, or use deep_lift instead" in message
