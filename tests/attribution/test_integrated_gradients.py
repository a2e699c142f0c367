import cv2
import numpy as np
import pytest
from analytic_models import Linear, Quadratic, SmallCnn, some_images, some_targets, with_background
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.errors import CannotExplain
from fruitaudit.runtime.streams import Streams


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
    explanation = explained(model, images, steps=steps, baseline=baseline)
    colour = {"black": images.low, "white": images.high, "grey": (images.low + images.high) / 2}[baseline]
    classes = np.arange(5) % 4
    at_baseline = model.logits(np.broadcast_to(colour, images.values.shape).astype(np.float32))
    difference = (model.logits(images.values) - at_baseline)[np.arange(5), classes]
    np.testing.assert_allclose(explanation.values.sum(axis=(1, 2)), difference, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(explanation.diagnostics["score_difference"], difference, rtol=1e-3, atol=1e-5)


def test_on_a_linear_model_it_is_weight_times_difference():
    model, images = Linear(), some_images((12, 10, 3), low=-1, high=1)
    w = np.moveaxis(model.w, -1, 0)[np.arange(5) % 4]
    expected = (w * (images.values - images.low)).sum(axis=-1)
    np.testing.assert_allclose(explained(model, images).values, expected, rtol=1e-4, atol=1e-6)


def test_completeness_error_is_the_gap_and_shrinks_with_the_square_of_the_steps():
    model, images = SmallCnn(scale=2.0), some_images((12, 8, 3))
    few, many = (explained(model, images, steps=steps) for steps in (2, 64))
    for explanation in (few, many):
        difference = explanation.diagnostics["score_difference"]
        gap = abs(explanation.values.sum(axis=(1, 2)) - difference) / abs(difference)
        np.testing.assert_allclose(explanation.diagnostics["completeness_error"], gap, rtol=1e-2, atol=1e-5)
    assert few.diagnostics["completeness_error"].max() > 0.003
    assert many.diagnostics["completeness_error"].max() < 0.0005


def test_a_wrong_gradient_shows_in_the_completeness_error():
    class Wrong(Linear):
        def _gradient(self, x, classes):
            return 0.8 * super()._gradient(x, classes)

    error = explained(Wrong(), some_images((12, 10, 3))).diagnostics["completeness_error"]
    assert error == pytest.approx(np.full(5, 0.2), abs=1e-4)


class Rough(Linear):
    """A ramp of height 20 between 0.3 and 0.301 of the mean colour: few steps do not meet it."""

    def _ramp(self, x):
        return np.clip((x.mean(axis=(1, 2, 3)) - self.at) / self.width, 0, 1)

    def __init__(self, width, at=0.3):
        super().__init__((6, 5, 3))
        self.width, self.at = width, at

    def _logits(self, x):
        return super()._logits(x) + 20 * self._ramp(x)[:, None]

    def _gradient(self, x, classes):
        ramp = self._ramp(x)
        slope = np.where((ramp > 0) & (ramp < 1), 20 / self.width / x[0].size, 0.0)
        return super()._gradient(x, classes) + slope[:, None, None, None]


def test_auto_doubles_until_complete_and_takes_no_gradient_twice():
    calls = []

    class Recording(Rough):
        def gradient(self, values, classes, **more):
            calls.append(values.copy())
            return super().gradient(values, classes, **more)

    model, images = Recording(width=0.1), some_images((6, 5, 3))
    explanation = explained(model, images, steps="auto")
    steps = explanation.diagnostics["steps"]
    assert (explanation.diagnostics["completeness_error"] < 0.01).all()
    assert 16 < steps.max() < 1024
    assert set(np.log2(steps / 16) % 1) == {0}
    assert model.passes.gradient == (steps + 1).sum()
    assert len(np.unique(np.concatenate(calls).reshape(-1, 90), axis=0)) == (steps + 1).sum() - 4  # one black image
    # The same numbers as the trapezoidal rule taken at once.
    for i, m in enumerate(steps.astype(int)):
        at = np.linspace(0, 1, m + 1, dtype=np.float32)[:, None, None, None]
        gradients = model.gradient(at * images.values[i], np.full(m + 1, i % 4)).astype(float)
        mean = (gradients[1:] + gradients[:-1]).mean(axis=0) / 2
        np.testing.assert_allclose(explanation.values[i], (images.values[i] * mean).sum(axis=-1), rtol=1e-4, atol=1e-6)


def test_auto_says_which_maps_do_not_converge():
    explanation = explained(Rough(width=1e-6), some_images((6, 5, 3)), steps="auto")
    poor = explanation.diagnostics["completeness_error"] >= 0.01
    assert poor.any()
    assert (explanation.diagnostics["steps"][poor] == 1024).all()
    assert any(f"{poor.sum()} of 5 maps do not converge" in note for note in explanation.notes)
    assert not any("converge" in note for note in explained(Linear(), some_images((12, 10, 3)), steps="auto").notes)


def test_auto_stops_at_once_where_the_gradient_is_linear():
    explanation = explained(Quadratic(), some_images((12, 10, 3)), steps="auto")
    assert explanation.diagnostics["steps"].tolist() == [16] * 5


@pytest.mark.parametrize("baseline", ["blurred", "mean_image", "uniform"])
def test_baselines_that_are_pictures(baseline):
    method = IntegratedGradients(steps=3, baseline=baseline)
    model = Quadratic((20, 24, 3))
    images = with_background(method, some_images(model.input_shape, low=-1, high=3))
    explanation = method(model, images, some_targets(5, 4), Streams(6))
    empty = {
        "blurred": lambda: np.stack([cv2.GaussianBlur(v, (0, 0), 2.0) for v in images.values]),
        "mean_image": lambda: images.background.values.mean(axis=0, keepdims=True).repeat(5, axis=0),
        "uniform": lambda: method._baselines(images, Streams(6)),
    }[baseline]()
    w, q = (np.moveaxis(a, -1, 0)[np.arange(5) % 4] for a in (model.w, model.q))
    by_hand = ((images.values - empty) * (w + q * (images.values + empty) / 2)).sum(axis=-1)
    inside = np.s_[:, 6:-6, 6:-6]  # away from the border, where blurs are a matter of taste
    np.testing.assert_allclose(explanation.values[inside], by_hand[inside], rtol=1e-2, atol=1e-3)
    assert explanation.diagnostics["completeness_error"].max() < 1e-3
    if baseline == "uniform":
        assert -1 <= empty.min() < -0.99
        assert 2.99 < empty.max() <= 3
        assert not np.array_equal(empty[0], empty[1])


def test_the_mean_image_needs_reference_images():
    with pytest.raises(CannotExplain, match="use the baseline blurred instead"):
        explained(Linear(), some_images((12, 10, 3)), baseline="mean_image")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), steps=st.integers(1, 12))
def test_two_networks_with_one_function_have_one_map(seed, steps):
    """Implementation invariance: hidden units in another order, scaled up and down again."""

    class Other(SmallCnn):
        def __init__(self):
            super().__init__()
            rng = np.random.default_rng(seed)
            order, scale = rng.permutation(5), rng.uniform(0.2, 5, 5)
            self.m, self.n = (self.m * scale)[:, order], (self.n / scale[:, None])[order]

    images = some_images((12, 8, 3), seed=seed)
    maps = [explained(model, images, steps=steps).values for model in (SmallCnn(), Other())]
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-5 * abs(maps[0]).max())
