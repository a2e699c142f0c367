import numpy as np
import pytest
from analytic_models import Linear, SmallCnn, some_images, some_targets

from fruitaudit.attribution.methods.smoothgrad import SmoothGrad
from fruitaudit.attribution.methods.smoothgrad_sweep import SmoothGradSweep, in_common, share_of_total
from fruitaudit.runtime.streams import Streams


@pytest.mark.parametrize("channels", ["maxabs", "sum"])
def test_parts_are_smoothgrad_at_three_settings_and_the_map_is_their_minimum(channels):
    model, images, targets = SmallCnn(scale=2.0), some_images((12, 8, 3)), some_targets(5, 4)
    explanation = SmoothGradSweep(channels)(model, images, targets, Streams(3))
    assert list(explanation.parts) == ["5% noise, 80 copies", "10% noise, 40 copies", "20% noise, 20 copies"]
    for part, (noise, samples) in zip(explanation.parts.values(), ((0.05, 80), (0.1, 40), (0.2, 20)), strict=True):
        smooth = SmoothGrad(samples, noise, channels)(model, images, targets, Streams(3)).values
        np.testing.assert_allclose(part, smooth / abs(smooth).sum(axis=(1, 2), keepdims=True), rtol=1e-5)
        assert (abs(explanation.values) <= abs(part)).all()
    np.testing.assert_allclose(explanation.diagnostics["common"], abs(explanation.values).sum(axis=(1, 2)), rtol=1e-5)
    assert (explanation.diagnostics["common"] > 0.3).all()
    assert (explanation.diagnostics["common"] < 0.99).all()


def test_where_noise_does_not_matter_all_is_in_common():
    explanation = SmoothGradSweep()(Linear(), some_images((12, 10, 3)), some_targets(5, 4), Streams(3))
    assert explanation.diagnostics["common"] == pytest.approx(np.ones(5), abs=1e-5)


def test_what_is_in_common_by_hand():
    maps = np.array([[[[1, 3, -2, 0]]], [[[3, -1, -4, 4]]]], np.float32)
    shares = np.stack([share_of_total(m) for m in maps])
    np.testing.assert_allclose(in_common(shares)[0, 0], [1 / 6, 0, -1 / 3, 0])


def test_an_empty_map_stays_empty():
    assert share_of_total(np.zeros((2, 3, 3), np.float32)).max() == 0
