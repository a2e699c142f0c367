import numpy as np
import pytest
from analytic_models import Linear, SmallCnn, some_images, some_targets

from fruitaudit.attribution.methods.input_x_gradient import InputXGradient
from fruitaudit.runtime.streams import Streams


def explained(model, images, **options):
    return InputXGradient(**options)(model, images, some_targets(5, model.n_classes), Streams(0)).values


@pytest.mark.parametrize("origin", ["black", "white", "zero"])
def test_on_a_linear_model_it_adds_up_to_the_difference_of_the_logits(origin):
    model = Linear()
    images = some_images(model.input_shape, low=-1, high=3)
    start = np.full_like(images.values, {"black": -1, "white": 3, "zero": 0}[origin])
    difference = (model.logits(images.values) - model.logits(start))[np.arange(5), np.arange(5) % 4]
    np.testing.assert_allclose(explained(model, images, origin=origin).sum(axis=(1, 2)), difference, rtol=1e-4)


def test_from_zero_it_is_the_papers():
    model, images = SmallCnn(), some_images((12, 8, 3), low=-1, high=3)
    expected = (images.values * model.gradient(images.values, np.arange(5) % 4)).sum(axis=-1)
    np.testing.assert_allclose(explained(model, images, origin="zero"), expected, atol=1e-6)
    assert abs(explained(model, images) - expected).max() > 0.1 * abs(expected).max()
