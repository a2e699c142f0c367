import numpy as np
from analytic_models import Linear, PlantedMask, some_images, some_targets

from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.runtime.streams import Streams


def test_on_a_linear_model_it_is_the_weights():
    model = Linear()
    targets = some_targets(5, 4)
    maps = Saliency()(model, some_images(model.input_shape), targets, Streams(0)).values
    w = np.moveaxis(model.w, -1, 0)[targets.classes]
    np.testing.assert_allclose(maps, abs(w).max(axis=-1), rtol=1e-6)
    signed = Saliency(channels="sum")(model, some_images(model.input_shape), targets, Streams(0)).values
    np.testing.assert_allclose(signed, w.sum(axis=-1), rtol=1e-4, atol=1e-7)
    assert signed.min() < 0


def test_only_a_planted_mask_is_marked():
    mask = np.zeros((12, 12), bool)
    mask[2:5, 3:9] = True
    model = PlantedMask(mask)
    maps = Saliency()(model, some_images(model.input_shape, n=2), some_targets(2, 1), Streams(0)).values
    assert ((maps > 0) == mask).all()
