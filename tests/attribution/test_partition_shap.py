import numpy as np
import pytest
from analytic_models import Additive, SmallCnn, some_images, some_targets

from fruitaudit.attribution.methods.partition_shap import PartitionShap
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

CLASS_0 = Targets(np.zeros(3, np.int64))


def owen(value, rectangle, shown):
    """The definition, without sharing of evaluations: {pixel: value} of a rectangle in the context `shown`."""
    top, left, height, width = rectangle
    inside = {(y, x) for y in range(top, top + height) for x in range(left, left + width)}
    if height == width == 1:
        return {(top, left): value(shown | inside) - value(shown)}
    if height >= width:
        cut = -(-height // 2)
        parts = ((top, left, cut, width), (top + cut, left, height - cut, width))
    else:
        cut = -(-width // 2)
        parts = ((top, left, height, cut), (top, left + cut, height, width - cut))
    results = {}
    for part, other in (parts, parts[::-1]):
        rest = {(y, x) for y in range(other[0], other[0] + other[2]) for x in range(other[1], other[1] + other[3])}
        with_none, with_other = owen(value, part, shown), owen(value, part, shown | rest)
        results |= {pixel: (with_none[pixel] + with_other[pixel]) / 2 for pixel in with_none}
    return results


class Tiny(SmallCnn):
    """The first pixels of a larger network's input: 4 x 3 pixels are few enough for the definition."""

    def __init__(self):
        super().__init__((4, 4, 3), scale=4.0)
        self.input_shape = (4, 3, 3)

    def _layers(self, x):
        return super()._layers(np.concatenate([x, x[:, :, :1] * x[:, :, 1:2]], axis=2))


def test_equals_the_definition_down_to_the_pixel():
    model, images, targets = Tiny(), some_images((4, 3, 3), n=3), some_targets(3, 4)
    explanation = PartitionShap(samples=10_000, hide="black")(model, images, targets, Streams(0))
    for i in range(3):

        def value(visible, i=i):
            image = np.zeros((4, 3, 3), np.float32)
            for pixel in visible:
                image[pixel] = images.values[i][pixel]
            return float(model.probabilities(image[None])[0, targets.classes[i]])

        expected = owen(value, (0, 0, 4, 3), set())
        by_definition = np.array([[expected[y, x] for x in range(3)] for y in range(4)])
        np.testing.assert_allclose(explanation.values[i], by_definition, atol=1e-6)
    assert model.passes.forward < 3 * 10_000


@pytest.mark.parametrize("samples", [4, 31, 200])
@pytest.mark.parametrize("hide", ["black", "blur"])
def test_always_adds_up_to_the_difference_of_the_scores(samples, hide):
    model, images, targets = SmallCnn((16, 12, 3), scale=3.0), some_images((16, 12, 3)), some_targets(5, 4)
    explanation = PartitionShap(samples=samples, hide=hide, explains="logit")(model, images, targets, Streams(0))
    difference = explanation.diagnostics["score_difference"]
    assert abs(difference).min() > 1e-3
    np.testing.assert_allclose(explanation.values.sum(axis=(1, 2)), difference, rtol=1e-3, atol=1e-6)


def test_where_pixels_add_up_every_tile_gets_what_is_in_it():
    model, images = Additive((12, 10, 3)), some_images((12, 10, 3), n=3)
    share = (model.a * images.values).sum(axis=-1)
    maps = PartitionShap(samples=4, hide="black")(model, images, CLASS_0, Streams(0)).values
    for half in (np.s_[:, :6], np.s_[:, 6:]):
        np.testing.assert_allclose(maps[half].mean(axis=(1, 2)), share[half].mean(axis=(1, 2)), atol=1e-6)
        assert (maps[half].std(axis=(1, 2)) < 1e-6).all()


def test_the_budget_goes_where_most_is_added():
    model, images = Additive((16, 16, 3)), some_images((16, 16, 3), n=3)
    model.a[:] = 1e-6
    model.a[3, 12] = 0.1
    # The tile around it is split in 1 + 2 + 4 + ... + 128 contexts before the pixel stands alone in all of them.
    maps = PartitionShap(samples=700, hide="black")(model, images, CLASS_0, Streams(0)).values
    shares = 0.1 * images.values[:, 3, 12].sum(axis=-1)
    assert (maps[:, 3, 12] > 0.99 * shares).all()
    assert (abs(maps[:, 8:]) < 1e-4).all()
