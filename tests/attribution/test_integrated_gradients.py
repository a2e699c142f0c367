import numpy as np
import pytest
from analytic_models import Linear, Quadratic, SmallCnn, some_images, some_targets
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.attribution.integrated_gradients import IntegratedGradients
from fruitaudit.runtime import Streams


def explained(model, images, **options):
    return IntegratedGradients(**options)(model, images, some_targets(len(images), model.n_classes), Streams(0))


@settings(max_examples=25, deadline=None)
@given(
    steps=st.integers(1, 30),
    baseline=st.sampled_from(["black", "white", "grey"]),
    low=st.floats(-3, 0),
    span=st.floats(0.5, 4),
    seed=st.integers(0, 99),
)
def test_complete_with_any_number_of_steps_where_the_gradient_is_linear(steps, baseline, low, span, seed):
    model = Quadratic((6, 5, 3))
    images = some_images(model.input_shape, low=low, high=low + span, seed=seed)
    made = explained(model, images, steps=steps, baseline=baseline)
    colour = {"black": images.low, "white": images.high, "grey": (images.low + images.high) / 2}[baseline]
    classes = np.arange(5) % 4
    at_baseline = model.logits(np.broadcast_to(colour, images.values.shape).astype(np.float32))
    difference = (model.logits(images.values) - at_baseline)[np.arange(5), classes]
    np.testing.assert_allclose(made.values.sum(axis=(1, 2)), difference, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(made.diagnostics["score_difference"], difference, rtol=1e-3, atol=1e-5)


def test_on_a_linear_model_it_is_weight_times_difference():
    model, images = Linear(), some_images((12, 10, 3), low=-1, high=1)
    w = np.moveaxis(model.w, -1, 0)[np.arange(5) % 4]
    expected = (w * (images.values - images.low)).sum(axis=-1)
    np.testing.assert_allclose(explained(model, images).values, expected, rtol=1e-4, atol=1e-6)


def test_completeness_error_is_the_gap_and_shrinks_with_the_square_of_the_steps():
    model, images = SmallCnn(scale=2.0), some_images((12, 8, 3))
    few, many = (explained(model, images, steps=steps) for steps in (2, 64))
    for made in (few, many):
        difference = made.diagnostics["score_difference"]
        gap = abs(made.values.sum(axis=(1, 2)) - difference) / abs(difference)
        np.testing.assert_allclose(made.diagnostics["completeness_error"], gap, rtol=1e-2, atol=1e-5)
    assert few.diagnostics["completeness_error"].max() > 0.003
    assert many.diagnostics["completeness_error"].max() < 0.0005


def test_a_wrong_gradient_shows_in_the_completeness_error():
    class Wrong(Linear):
        def _gradient(self, x, classes):
            return 0.8 * super()._gradient(x, classes)

    error = explained(Wrong(), some_images((12, 10, 3))).diagnostics["completeness_error"]
    assert error == pytest.approx(np.full(5, 0.2), abs=1e-4)
