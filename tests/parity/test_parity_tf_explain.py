"""tf-explain against the native methods: equal where it is right, and where it is wrong, how."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from parity.tf_explain_case import L, case, correlations, model

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.grad_cam import GradCam
from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.attribution.methods.occlusion import Occlusion
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.providers.registry import explains_of
from fruitaudit.providers.tf_explain import (
    GradCamByTfExplain,
    IntegratedGradientsByTfExplain,
    OcclusionByTfExplain,
    SaliencyByTfExplain,
)
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams


@pytest.mark.parametrize("head", [[L.Dense(5)], [L.Dense(5), L.Softmax()]], ids=["logits", "Softmax layer"])
def test_saliency_is_the_same_where_softmax_is_a_layer_of_its_own(head):
    network = model(*head)
    ours, theirs = (method()(network, *case(), Streams(0)).values for method in (Saliency, SaliencyByTfExplain))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * ours.max())


def test_saliency_is_that_of_the_probability_where_softmax_belongs_to_the_last_layer():
    network = model(L.Dense(5, activation="softmax"))
    images, targets = case()
    theirs = SaliencyByTfExplain()(network, images, targets, Streams(0)).values
    of_probability = abs(network.gradient(images.values, targets.classes, "probability")).max(axis=-1)
    np.testing.assert_allclose(theirs, of_probability, rtol=1e-3, atol=1e-4 * theirs.max())
    assert correlations(Saliency()(network, images, targets, Streams(0)).values, theirs).max() < 0.98


HEADS = {
    "logits": ([L.Dense(5)], "logit", "logit"),
    "Softmax layer": ([L.Dense(5), L.Softmax()], "logit", "probability"),
    "Activation layer": ([L.Dense(5), L.Activation("softmax")], "logit", "probability"),
    "softmax inside": ([L.Dense(5, activation="softmax")], "probability", "probability"),
}


@pytest.mark.parametrize("head", HEADS)
def test_what_is_explained_follows_the_head_of_the_model_and_is_recorded_so(head):
    """The gradients of a score by hand are those of what is recorded, and not those of the other one."""
    layers, of_saliency, of_others = HEADS[head]
    network = model(*layers)
    assert explains_of(SaliencyByTfExplain(), network) == of_saliency
    assert explains_of(GradCamByTfExplain(), network) == of_others
    assert explains_of(IntegratedGradientsByTfExplain(), network) == of_others
    assert explains_of(OcclusionByTfExplain(), network) == "probability"
    images, targets = case()
    theirs = SaliencyByTfExplain()(network, images, targets, Streams(0)).values
    far = {score: abs(abs(network.gradient(images.values, targets.classes, score)).max(axis=-1) - theirs).max()
           for score in ("logit", "probability")}  # fmt: skip
    assert min(far, key=far.get) == of_saliency
    assert far[of_saliency] < 1e-4 * theirs.max()


def test_integrated_gradients_are_not_multiplied_by_the_difference():
    network = model(L.Dense(5))
    images, targets = case()
    theirs = IntegratedGradientsByTfExplain(steps=100)(network, images, targets, Streams(0)).values
    ours = IntegratedGradients(steps=100)(network, images, targets, Streams(0))
    difference = ours.diagnostics["score_difference"]
    np.testing.assert_allclose(ours.values.sum(axis=(1, 2)), difference, rtol=0.01, atol=1e-3)
    assert (abs(theirs.sum(axis=(1, 2)) - difference) > 0.1 * abs(difference)).all()
    at = np.linspace(0, 1, 100, dtype=np.float32)[:, None, None, None]
    mean = [
        network.gradient(at * x, np.full(100, k)).mean(axis=0)
        for x, k in zip(images.values, targets.classes, strict=True)
    ]
    np.testing.assert_allclose(theirs, np.sum(mean, axis=-1), rtol=1e-3, atol=1e-4)


def test_occlusion_agrees_on_0_to_255_and_not_on_0_to_1():
    images, targets = case(high=255.0)
    bytes_ = model(L.Rescaling(1 / 255), L.Dense(5, activation="softmax"))
    tiles = {"patch": 4}
    ours = Occlusion(**tiles, stride=4, fill="grey")(bytes_, images, targets, Streams(0)).values
    theirs = OcclusionByTfExplain(**tiles)(bytes_, images, targets, Streams(0)).values
    # Theirs is 1 - p on the grid of windows, enlarged: at the middle of a window ours plus 1 - p(x), columns as rows.
    grid = theirs.reshape(5, 6, 4, 6, 4)[:, :, 1:3, :, 1:3].mean(axis=(2, 4))
    reference = ours[:, ::4, ::4]
    base = bytes_.probabilities(images.values)[np.arange(5), targets.classes]
    agrees = [correlations(reference, g).min() for g in (grid, grid.transpose(0, 2, 1))]
    assert max(agrees) > 0.9
    assert grid.mean() == pytest.approx((reference + 1 - base[:, None, None]).mean(), abs=0.02)

    images, targets = case()
    unit = model(L.Dense(5, activation="softmax"))
    ours = Occlusion(**tiles, stride=4, fill="grey")(unit, images, targets, Streams(0)).values
    theirs = OcclusionByTfExplain(**tiles)(unit, images, targets, Streams(0)).values
    assert abs(correlations(ours, theirs)).max() < 0.6


def test_occlusion_of_images_that_are_not_square_is_refused():
    explanation = explain(
        OcclusionByTfExplain(patch=4), model(L.Dense(5), shape=(24, 16, 3)), *case((24, 16, 3)), Streams(0)
    )
    assert isinstance(explanation, NotRun)
    assert "tf-explain swaps height and width, which are 24 and 16 pixels here" in explanation.reason


def test_grad_cam_averages_positive_gradients_only():
    network = model(L.Dense(5), shape=(24, 20, 3))
    images, targets = case((24, 20, 3))
    layer = network.cam_layer
    theirs = GradCamByTfExplain()(network, images, targets, Streams(0)).values
    inside = network.layer_gradients(images.values, targets.classes, layer)
    guided = np.where((inside.activations > 0) & (inside.gradients > 0), inside.gradients, 0)
    weights = guided.mean(axis=(1, 2), keepdims=True)
    small = (weights * inside.activations).sum(axis=-1)
    large = np.stack([cv2.resize(m, (20, 24)) for m in small])
    np.testing.assert_allclose(theirs, large, rtol=1e-3, atol=1e-5 * abs(large).max())
    assert correlations(GradCam()(network, images, targets, Streams(0)).values, theirs).min() < 0.95
