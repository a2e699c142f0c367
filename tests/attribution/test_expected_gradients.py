from dataclasses import replace

import numpy as np
import pytest
from analytic_models import Linear, Quadratic, SmallCnn, some_images, some_targets, with_background

from fruitaudit.attribution.methods.expected_gradients import ExpectedGradients
from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import Background
from fruitaudit.runtime.streams import Streams

TARGETS = some_targets(5, 4)


def explained(model, images, **options):
    method = ExpectedGradients(**options)
    images = images if images.background else with_background(method, images)
    return method(model, images, TARGETS, Streams(0))


def test_on_a_linear_model_it_is_weight_times_distance_from_the_mean_reference():
    """Exact with any number of samples in which each reference comes equally often."""
    model, images = Linear(), some_images((12, 10, 3), low=-1, high=1)
    references = with_background(ExpectedGradients(references=4), images).background.values
    w = np.moveaxis(model.w, -1, 0)[TARGETS.classes]
    expected = (w * (images.values - references.mean(axis=0))).sum(axis=-1)
    explanation = explained(model, images, samples=8, references=4)
    np.testing.assert_allclose(explanation.values, expected, rtol=1e-3, atol=1e-5)
    assert explanation.diagnostics["completeness_error"].max() < 1e-3


def test_with_one_reference_it_is_integrated_gradients_from_there():
    model, images = SmallCnn(scale=2.0), some_images((12, 8, 3))
    black = Background(np.zeros((1, 12, 8, 3), np.float32), np.zeros(1, np.int64), ("train/0",), 1)
    explanation = explained(model, replace(images, background=black), samples=400, references=1)
    path = IntegratedGradients(steps=400)(model, images, TARGETS, Streams(0))
    np.testing.assert_allclose(explanation.values, path.values, atol=0.01 * abs(path.values).max())
    np.testing.assert_allclose(*(m.diagnostics["score_difference"] for m in (explanation, path)), rtol=1e-4, atol=1e-6)


def test_completeness_holds_in_expectation_and_the_error_is_told():
    model, images = Quadratic(), some_images((12, 10, 3))
    few, many = (explained(model, images, samples=n, references=20) for n in (20, 2000))
    for explanation in (few, many):
        difference = explanation.diagnostics["score_difference"]
        gap = abs(explanation.values.sum(axis=(1, 2)) - difference) / abs(difference)
        np.testing.assert_allclose(explanation.diagnostics["completeness_error"], gap, rtol=1e-2, atol=1e-5)
    assert many.diagnostics["completeness_error"].max() < 0.05
    assert many.diagnostics["completeness_error"].mean() < few.diagnostics["completeness_error"].mean() / 2


def test_references_and_places_on_the_way_are_spread_evenly():
    images = with_background(ExpectedGradients(references=10), some_images((12, 10, 3)))
    draws, at = ExpectedGradients(samples=40, references=10)._draw(images, 10, Streams(2))
    for image in range(5):
        assert np.bincount(draws[image], minlength=10).tolist() == [4] * 10
        assert sorted((at[image] * 40).astype(int)) == list(range(40))
    assert not np.array_equal(draws[0], draws[1])


def test_without_reference_images_it_says_what_to_use():
    with pytest.raises(CannotExplain, match="use integrated gradients instead"):
        ExpectedGradients()(Linear(), some_images((12, 10, 3)), TARGETS, Streams(0))
