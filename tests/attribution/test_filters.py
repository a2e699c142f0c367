import numpy as np
import pytest
import zoo
from analytic_models import some_images, some_targets

from fruitaudit.attribution.methods.filters import Filters
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.runtime.streams import Streams

L = keras.layers


def run(network, **options):
    model = Classifier.from_network(network)
    explanation = Filters(**options)(model, some_images(model.input_shape, n=0), some_targets(0, 2), Streams(0))
    assert model.passes.total == 0
    return explanation


def test_are_the_weights_of_each_convolution_in_running_order():
    network = zoo.KINDS["sequential"]()
    explanation = run(network, channels=2, filters=3)
    assert [bank.layer for bank in explanation.layers] == ["conv_1", "conv_2"]
    assert [bank.shape for bank in explanation.layers] == [(3, 3, 3, 8), (3, 3, 8, 12)]
    for bank in explanation.layers:
        np.testing.assert_array_equal(bank.values, np.asarray(network.get_layer(bank.layer).kernel)[:, :, :2, :3])


def test_of_every_sort_of_convolution():
    keras.utils.set_random_seed(0)
    network = keras.Sequential([
        L.Input((16, 16, 3)), L.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
        L.SeparableConv2D(5, 2, name="separable"), L.Conv2DTranspose(7, 3, name="transposed"),
        L.Flatten(), L.Dense(2),
    ])  # fmt: skip
    depthwise, separable, transposed = run(network).layers
    assert (depthwise.shape, separable.shape, transposed.shape) == ((3, 3, 3, 2), (2, 2, 6, 1), (3, 3, 5, 7))
    kernel = np.asarray(network.get_layer("transposed").kernel)
    np.testing.assert_array_equal(transposed.values[1, 2, 4, 6], kernel[1, 2, 6, 4])


@pytest.mark.slow
def test_a_deep_network_shows_some_and_says_so():
    explanation = run(zoo.KINDS["nested_sequential"]())
    assert len(explanation.layers) == 8
    assert explanation.notes == ("8 of 52 convolutions, evenly spread",)
    assert [bank.layer for bank in run(zoo.KINDS["resnet"](), layers=["stem"]).layers] == ["stem"]


def test_a_model_without_convolution_gets_a_sentence():
    with pytest.raises(CannotExplain, match="no convolution is to be seen"):
        run(zoo.KINDS["mlp"]())
