import numpy as np
import pytest
from analytic_models import Additive, PlantedMask, SmallCnn, some_images, some_targets

from fruitaudit.attribution.methods.rise import Rise
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

CLASS_0 = Targets(np.zeros(3, np.int64))


def test_equals_the_formula_of_the_paper_less_its_value_for_a_model_that_does_not_look():
    model, images, targets = SmallCnn(scale=2.0), some_images((12, 8, 3), n=2), some_targets(2, 4)
    method = Rise(samples=50, cells=4, shown=0.4, fill="white")
    maps = method(model, images, targets, Streams(5)).values
    for i, sample_id in enumerate(images.sample_ids):
        rng = Streams(5).rng("rise", sample_id)
        total, mean_of_masks, scores = np.zeros((12, 8)), np.zeros((12, 8)), []
        for _ in range(50):
            mask = method.mask(rng, 12, 8)
            masked = mask[..., None] * images.values[i] + (1 - mask[..., None])
            scores.append(float(model.probabilities(masked[None].astype(np.float32))[0, targets.classes[i]]))
            total += scores[-1] * mask
            mean_of_masks += mask / 50
        by_the_paper = total / (0.4 * 50)
        np.testing.assert_allclose(maps[i], by_the_paper - np.mean(scores) * mean_of_masks / 0.4, atol=1e-5)


def test_masks_are_half_open_smooth_and_shifted():
    rng, method = np.random.default_rng(0), Rise(cells=7, shown=0.5)
    masks = np.stack([method.mask(rng, 100, 80) for _ in range(400)])
    assert masks.shape == (400, 100, 80)
    assert (masks.min(), masks.max()) == (0, 1)
    np.testing.assert_allclose(masks.mean(axis=0), 0.5, atol=0.1)
    cell = -(-100 // 7)
    assert abs(np.diff(masks, axis=1)).max() < 1.2 / cell  # no edges: nothing for the model to see but what is there
    assert len({m.tobytes() for m in masks}) == 400


def test_what_the_model_looks_at_stands_out_and_the_rest_is_near_zero():
    mask = np.zeros((24, 24), bool)
    mask[4:12, 10:18] = True
    model = PlantedMask(mask)
    images = some_images((24, 24, 3), n=3)
    images.values[:, mask] = 1.0
    maps = Rise(samples=2000, fill="black", explains="logit")(model, images, CLASS_0, Streams(1)).values
    for values in maps:
        assert values[mask].mean() > 0.2
        assert values[mask].mean() > 5 * abs(values[~mask]).mean()


def test_pays_pixels_in_the_order_of_what_they_add():
    model, images = Additive((14, 14, 3)), some_images((14, 14, 3), n=3)
    maps = Rise(samples=4000, cells=14, fill="black")(model, images, CLASS_0, Streams(2)).values
    for values, heat in zip(images.values, maps, strict=True):
        share = (model.a * values).sum(axis=-1)
        import cv2

        smooth = cv2.GaussianBlur(share, (0, 0), 0.6)
        assert np.corrcoef(smooth.ravel(), heat.ravel())[0, 1] > 0.75


def test_a_model_that_does_not_look_gets_zeros():
    class Blind(Additive):
        def __init__(self):
            super().__init__()
            self.a = self.a * 0

    maps = Rise(samples=30)(Blind(), some_images((12, 10, 3), n=3), CLASS_0, Streams(0)).values
    assert maps == pytest.approx(np.zeros((3, 12, 10)), abs=1e-6)
