import numpy as np
import pytest
import zoo
from analytic_models import Quadratic, SmallCnn, some_images, some_targets

from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.attribution.methods.smoothgrad import SmoothGrad
from fruitaudit.runtime.streams import Streams


@pytest.mark.parametrize("channels", ["maxabs", "l2", "sum"])
def test_without_noise_it_is_the_gradient(channels):
    model, images, targets = SmallCnn(), some_images((12, 8, 3)), some_targets(5, 4)
    smooth = SmoothGrad(samples=3, noise=0.0, channels=channels)(model, images, targets, Streams(0)).values
    plain = Saliency(channels=channels)(model, images, targets, Streams(0)).values
    np.testing.assert_allclose(smooth, plain, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["sequential", "resnet", "vit", "mixed_float16"])
def test_without_noise_it_is_the_gradient_of_networks(kind):
    model = zoo.classifier(kind, 4)  # samples of one image lie in two batches
    images, targets = some_images(model.input_shape, n=3, high=zoo.TOP.get(kind, 1.0)), some_targets(3, 5)
    smooth = SmoothGrad(samples=3, noise=0.0)(model, images, targets, Streams(0)).values
    plain = Saliency()(model, images, targets, Streams(0)).values
    for explanation, expected in zip(smooth, plain, strict=True):
        np.testing.assert_allclose(explanation, expected, rtol=0, atol=1e-5 * expected.max())


def test_signed_gradients_are_averaged_before_channels_are_joined():
    """On a quadratic model the mean gradient is the gradient at the mean; a mean of magnitudes would be larger."""
    model, images, targets = Quadratic(), some_images((12, 10, 3)), some_targets(5, 4)
    smooth = SmoothGrad(samples=4000, noise=0.2)(model, images, targets, Streams(1)).values
    plain = Saliency()(model, images, targets, Streams(1)).values
    np.testing.assert_allclose(smooth, plain, atol=5 * 0.2 * abs(model.q).max() / 4000**0.5)


def test_noise_is_a_share_of_the_input_range():
    class Recording(Quadratic):
        def gradient(self, values, classes, **more):
            self.seen = values
            return super().gradient(values, classes, **more)

    model = Recording(batch_size=400)
    images = some_images((12, 10, 3), n=1, low=-1, high=3)
    SmoothGrad(samples=200, noise=0.1)(model, images, some_targets(1, 4), Streams(0))
    noise = model.seen - images.values
    assert noise.std() == pytest.approx(0.1 * 4, rel=0.01)
    assert abs(noise.mean()) < 0.01
