import cv2
import numpy as np
import pytest
from analytic_models import Additive, Linear, PlantedMask, some_images
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.attribution.methods.occlusion import Occlusion
from fruitaudit.errors import CannotExplain
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

CLASS_0 = Targets(np.zeros(3, np.int64))


def by_hand(part, patch, stride):
    """Mean over covering windows of what the pixels inside each window contribute; `part` (H, W) per pixel."""
    height, width = part.shape
    total, covered = np.zeros_like(part), np.zeros_like(part)
    tops = sorted({min(t, height - patch) for t in range(0, height, stride)})
    lefts = sorted({min(t, width - patch) for t in range(0, width, stride)})
    for top in tops:
        for left in lefts:
            total[top : top + patch, left : left + patch] += part[top : top + patch, left : left + patch].sum()
            covered[top : top + patch, left : left + patch] += 1
    assert covered.min() >= 1
    return total / covered


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(4, 11),
    width=st.integers(4, 11),
    channels=st.sampled_from([1, 3]),
    patch=st.integers(1, 4),
    stride=st.integers(1, 4),
    fill=st.sampled_from(["grey", "black", "white", "mean", "blur"]),
)
def test_exact_where_probability_adds_up_over_pixels(height, width, channels, patch, stride, fill):
    stride = min(stride, patch)
    model = Additive((height, width, channels), batch_size=7)
    images = some_images(model.input_shape, n=3)
    maps = Occlusion(patch=patch, stride=stride, fill=fill)(model, images, CLASS_0, Streams(0)).values
    for values, drop_map in zip(images.values, maps, strict=True):
        blurred = cv2.GaussianBlur(values, (0, 0), min(height, width) / 10, borderType=cv2.BORDER_REFLECT)
        fill_colours = {"grey": 0.5, "black": 0.0, "white": 1.0, "mean": values.mean(axis=(0, 1))}
        away = values - fill_colours.get(fill, blurred.reshape(values.shape))
        np.testing.assert_allclose(drop_map, by_hand((model.a * away).sum(axis=-1), patch, stride), atol=1e-6)


def test_a_patch_of_one_pixel_gives_each_pixel_its_own_drop():
    model, images = Additive(), some_images((12, 10, 3), n=3)
    maps = Occlusion(patch=1, fill="black")(model, images, CLASS_0, Streams(0)).values
    np.testing.assert_allclose(maps, (model.a * images.values).sum(axis=-1), atol=1e-6)


def test_logits_add_up_where_probabilities_are_saturated():
    """On a confident image the drop of the probability is nearly nothing, that of the logit is the same as ever."""
    model, images = Linear(), some_images((12, 10, 3), n=3)
    model.w[..., 0] += 0.5
    logit, probability = (
        Occlusion(patch=4, stride=2, fill="black", explains=explains)(model, images, CLASS_0, Streams(0)).values
        for explains in ("logit", "probability")
    )
    for values, drop_map in zip(images.values, logit, strict=True):
        np.testing.assert_allclose(drop_map, by_hand((model.w[..., 0] * values).sum(axis=-1), 4, 2), rtol=1e-3)
    assert abs(probability).max() < 1e-6 < 1 < abs(logit).max()


def test_against_another_class_it_is_the_difference_of_logits():
    model, images = Linear(), some_images((12, 10, 3), n=3)
    targets = Targets(np.zeros(3, np.int64), against=np.full(3, 2))
    maps = Occlusion(patch=1, fill="black")(model, images, targets, Streams(0)).values
    np.testing.assert_allclose(maps, ((model.w[..., 0] - model.w[..., 2]) * images.values).sum(axis=-1), atol=1e-5)


def test_what_the_model_does_not_see_loses_nothing():
    mask = np.zeros((16, 16), bool)
    mask[4:8, 8:12] = True
    model = PlantedMask(mask)
    maps = Occlusion(patch=4, stride=4, fill="black")(model, some_images((16, 16, 3), n=3), CLASS_0, Streams(0)).values
    assert (maps[:, mask] > 0.05).all()
    assert (maps[:, ~mask] == 0).all()


def test_a_patch_larger_than_the_image_is_said():
    with pytest.raises(CannotExplain, match="patch of 11 pixels does not fit an image of 12 x 10"):
        Occlusion(patch=11)(Additive(), some_images((12, 10, 3), n=3), CLASS_0, Streams(0))
