import numpy as np
import pytest
from analytic_models import Linear, some_images, some_targets

from fruitaudit.attribution.methods.controls import METHODS, centre, intensity, random_maps, sobel
from fruitaudit.records.data import Images
from fruitaudit.runtime.streams import Streams


def one(values):
    values = np.asarray(values, np.float32)[None]
    channels = values.shape[-1]
    return Images(values, ("a",), np.zeros(channels, np.float32), np.ones(channels, np.float32))


def test_sobel_by_hand():
    """A step of height 1 in all three channels: four times that, on both sides of it."""
    step = np.zeros((5, 6, 3))
    step[:, 3:] = 1
    np.testing.assert_allclose(sobel(one(step))[0], np.tile([0, 0, 4, 4, 0, 0], (5, 1)), atol=1e-6)
    assert sobel(one(np.full((5, 6, 3), 0.3))).max() == pytest.approx(0, abs=1e-6)


def test_intensity_by_hand():
    pixels = np.zeros((2, 2, 2))
    pixels[0, 0] = (1, 0.4)
    mean = np.array([0.25, 0.1])
    expected = np.full((2, 2), np.hypot(*mean))
    expected[0, 0] = np.hypot(*(pixels[0, 0] - mean))
    np.testing.assert_allclose(intensity(one(pixels))[0], expected, rtol=1e-6)


def test_centre_is_a_gaussian_of_a_quarter_of_each_side():
    bump = centre(one(np.zeros((41, 81, 3))))[0]
    assert bump[20, 40] == 1
    assert bump[20, 60] == pytest.approx(np.exp(-((20 / 20.25) ** 2) / 2), rel=1e-4)
    assert bump[30, 40] == pytest.approx(np.exp(-((10 / 10.25) ** 2) / 2), rel=1e-4)


def test_random_maps_are_uniform_and_belong_to_their_image():
    images = some_images((40, 40, 3))
    maps = random_maps(images, Streams(1))
    assert abs(np.histogram(maps, 10, (0, 1))[0] / maps.size - 0.1).max() < 0.01
    np.testing.assert_array_equal(random_maps(images.select(np.array([3])), Streams(1))[0], maps[3])
    assert abs(np.corrcoef(maps.reshape(5, -1))[np.triu_indices(5, 1)]).max() < 0.1


def test_no_control_asks_the_model_anything():
    model, images = Linear(), some_images((12, 10, 3))
    for control in METHODS:
        assert "control that knows nothing of the model" in control.registration.caveat
        control()(model, images, some_targets(5, 4), Streams(0))
    assert model.batches == []
