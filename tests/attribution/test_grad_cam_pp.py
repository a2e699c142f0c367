import cv2
import numpy as np
import pytest
from analytic_models import SmallCnn, some_images, some_targets

from fruitaudit.attribution.methods.grad_cam_pp import GradCamPlusPlus, class_activation_map
from fruitaudit.errors import CannotExplain
from fruitaudit.records.passes import LayerGradients
from fruitaudit.runtime.streams import Streams


def from_the_paper(activation, gradient, score):
    """Eq. 5, 10, 19 of arXiv:1710.11063 for one image, pixel by pixel, with Y = exp(S)."""
    height, width, channels = activation.shape
    cam = np.zeros((height, width))
    for k in range(channels):
        first, second, third = (np.exp(score) * gradient[..., k] ** power for power in (1, 2, 3))
        weight = 0.0
        for i in range(height):
            for j in range(width):
                denominator = 2 * second[i, j] + sum(
                    activation[a, b, k] * third[i, j] for a in range(height) for b in range(width)
                )
                alpha = second[i, j] / denominator if denominator else 0.0
                weight += alpha * max(first[i, j], 0)
        cam += weight * activation[..., k]
    return np.maximum(cam, 0)


def test_equals_the_paper_up_to_the_factor_exp_of_the_logit():
    model, images, targets = SmallCnn(), some_images((12, 8, 3)), some_targets(5, 4)
    for layer in ("early", "late"):
        inside = model.layer_gradients(images.values, targets.classes, layer)
        maps = class_activation_map(inside)
        for i, score in enumerate(inside.scores.astype(np.float64)):
            expected = from_the_paper(inside.activations[i].astype(float), inside.gradients[i].astype(float), score)
            np.testing.assert_allclose(maps[i] * np.exp(score), expected, rtol=1e-4, atol=1e-7)


def test_is_bilinearly_enlarged_to_the_image():
    model, images, targets = SmallCnn(), some_images((12, 8, 3)), some_targets(5, 4)
    explanation = GradCamPlusPlus()(model, images, targets, Streams(0))
    small = class_activation_map(model.layer_gradients(images.values, targets.classes, "late"))
    np.testing.assert_allclose(explanation.values[1], cv2.resize(small[1], (8, 12)), rtol=1e-5)
    assert explanation.notes == ("layer late, 3 x 2",)


@pytest.mark.parametrize("score", [-500.0, 500.0])
def test_the_size_of_the_logit_does_not_matter(score):
    """With Y = exp(S) spelled out the map is not finite at 500."""
    rng = np.random.default_rng(0)
    activation, gradient = rng.uniform(0, 2, (1, 3, 4, 5)), rng.normal(0, 1, (1, 3, 4, 5))
    scores = np.array([score])
    with np.errstate(all="ignore"):
        naive = from_the_paper(activation[0].astype(np.float32), gradient[0].astype(np.float32), np.float32(score))
    assert not (np.isfinite(naive).all() and naive.any())
    explanation = class_activation_map(LayerGradients(activation, gradient, scores))
    np.testing.assert_allclose(explanation[0], from_the_paper(activation[0], gradient[0], 0.0), rtol=1e-5)


def test_activations_that_may_be_negative_stay_finite():
    activation = np.full((1, 1, 1, 1), -2.0)
    explanation = class_activation_map(LayerGradients(activation, np.ones((1, 1, 1, 1)), np.zeros(1)))
    assert explanation.tolist() == [[[0.0]]]


def test_an_unknown_layer_is_said():
    model = SmallCnn()
    with pytest.raises(CannotExplain, match="no layer conv9"):
        GradCamPlusPlus(layer="conv9")(model, some_images((12, 8, 3)), some_targets(5, 4), Streams(0))
