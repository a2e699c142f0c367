"""Guided backpropagation, deconvolution and guided Grad-CAM."""

import cv2
import numpy as np
import pytest
from backward_cases import L, case, network, of_kind, reason, run

from fruitaudit.attribution.methods.deconvolution import Deconvolution
from fruitaudit.attribution.methods.guided_backprop import GuidedBackprop
from fruitaudit.attribution.methods.guided_grad_cam import GuidedGradCam

BOTH = pytest.mark.parametrize("method", [GuidedBackprop, Deconvolution])


def replica(model, x, k, guided):
    """Two hidden ReLU layers, one unit at a time, from the papers."""
    layers = [layer.get_weights() for layer in model.network.layers if layer.weights]
    values, activations = x.ravel(), []
    for w, b in layers[:-1]:
        values = np.maximum(values @ w + b, 0)
        activations.append(values)
    back = layers[-1][0][:, k]
    for (w, _), f in zip(reversed(layers[:-1]), reversed(activations), strict=True):
        for j in range(len(back)):
            if back[j] <= 0 or (guided and f[j] <= 0):
                back[j] = 0
        back = w @ back
    return back.reshape(x.shape)


@BOTH
@pytest.mark.parametrize("channels", ["sum", "maxabs"])
def test_is_what_the_paper_says(method, channels):
    model = network(L.Flatten(), *(L.Dense(12, activation="relu") for _ in range(2)), L.Dense(4, activation="softmax"))
    images, targets = case(model)
    maps = run(method(channels=channels), model, images, targets).values
    for values, x, k in zip(maps, images.values, targets.classes, strict=True):
        expected = replica(model, x, k, method is GuidedBackprop)
        expected = expected.sum(axis=-1) if channels == "sum" else abs(expected).max(axis=-1)
        np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.slow
def test_reaches_the_relus_of_nested_networks():
    model, images, targets = of_kind("nested_sequential")
    maps = run(GuidedBackprop(channels="sum"), model, images, targets).values
    gradient = model.gradient(images.values, targets.classes).sum(axis=-1)
    assert abs(np.corrcoef(maps.ravel(), gradient.ravel())[0, 1]) < 0.9
    repeated = model.gradient(images.values, targets.classes).sum(axis=-1)
    np.testing.assert_array_equal(repeated, gradient)


@BOTH
def test_without_a_relu_it_is_the_gradient(method):
    model = network(L.Conv2D(6, 3), L.BatchNormalization(), L.MaxPooling2D(), L.Flatten(), L.Dense(4))
    images, targets = case(model)
    gradient = model.gradient(images.values, targets.classes).sum(axis=-1)
    np.testing.assert_allclose(run(method(channels="sum"), model, images, targets).values, gradient, atol=1e-6)


@BOTH
@pytest.mark.parametrize(("kind", "named"), [("swish", "IdentityN, Sigmoid"), ("gelu", "Erfc"), ("vit", "Rsqrt")])
def test_other_nonlinearities_are_named(method, kind, named):
    message = reason(method(), *of_kind(kind))
    assert "has no rule for" in message
    assert named in message
    assert message.endswith("in this model; use saliency or smoothgrad instead")


def test_guided_grad_cam_is_the_product():
    model, images, targets = of_kind("non_square")
    maps = run(GuidedGradCam(channels="sum", layer="conv_1"), model, images, targets).values
    layer = model.layer_gradients(images.values, targets.classes, "conv_1")
    cam = np.maximum((layer.gradients.mean(axis=(1, 2), keepdims=True) * layer.activations).sum(axis=-1), 0)
    enlarged = np.stack([cv2.resize(m, (40, 24), interpolation=cv2.INTER_LINEAR) for m in cam])
    guided = run(GuidedBackprop(channels="sum"), model, images, targets).values
    assert abs(maps).max() > 0
    np.testing.assert_allclose(maps, guided * enlarged, atol=1e-7)


def test_options_of_guided_grad_cam_change_the_map():
    model, images, targets = of_kind("sequential")
    default_maps = run(GuidedGradCam(), model, images, targets).values
    for options in ({"layer": "conv_1"}, {"channels": "l2"}):
        assert (
            abs(run(GuidedGradCam(**options), model, images, targets).values - default_maps).max()
            > 1e-3 * default_maps.max()
        )
