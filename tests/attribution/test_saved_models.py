"""A network out of a file, a SavedModel above all, is explained as the network itself is."""

from __future__ import annotations

import numpy as np
import pytest
import zoo
from backward_cases import case, reason, run

from fruitaudit.attribution.methods.cam import Cam
from fruitaudit.attribution.methods.deconvolution import Deconvolution
from fruitaudit.attribution.methods.deep_lift import DeepLift
from fruitaudit.attribution.methods.deep_shap import DeepShap
from fruitaudit.attribution.methods.eigen_cam import EigenCam
from fruitaudit.attribution.methods.grad_cam import GradCam
from fruitaudit.attribution.methods.grad_cam_pp import GradCamPlusPlus
from fruitaudit.attribution.methods.guided_backprop import GuidedBackprop
from fruitaudit.attribution.methods.guided_grad_cam import GuidedGradCam
from fruitaudit.attribution.methods.layer_cam import LayerCam
from fruitaudit.attribution.methods.lrp import Lrp
from fruitaudit.attribution.methods.neighbours import NearestNeighbours
from fruitaudit.attribution.methods.score_cam import ScoreCam
from fruitaudit.models.keras.classifier import Classifier, open_classifier

METHODS = (Lrp(), Lrp(convolution="gamma", first="box"), DeepLift(), DeepShap(background=3), GuidedBackprop(),
           Deconvolution())  # fmt: skip


@pytest.fixture(scope="module", params=["resnet", "swish", "grouped"])
def pair(request, tmp_path_factory):
    """The network in memory, and out of a SavedModel."""
    folder = tmp_path_factory.mktemp(request.param) / "model"
    network = zoo.KINDS[request.param]()
    network.export(folder, verbose=False)
    return Classifier.from_network(network, batch_size=8), open_classifier(folder, allow_code=True, batch_size=8)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.registration.name)
def test_rules_reach_into_a_saved_model(method, pair):
    original, stored = pair
    images, targets = case(original, high=zoo.TOP.get(original.network.name, 1.0))
    if original.network.name == "small_cnn" and method.registration.name in ("guided_backprop", "deconvolution"):
        assert "has no rule for" in reason(method, stored, images, targets)  # swish
        return
    expected, explanation = (run(method, model, images, targets) for model in pair)
    np.testing.assert_allclose(explanation.values, expected.values, rtol=1e-3, atol=5e-3 * abs(expected.values).max())


@pytest.mark.parametrize("method", [Cam, EigenCam, GradCam, GradCamPlusPlus, GuidedGradCam, LayerCam, ScoreCam])
def test_what_needs_a_layer_tells_of_the_other_formats(method, pair):
    _, stored = pair
    images, targets = case(stored)
    advice = "a SavedModel hides its layers; take a .keras or .h5 file of the same model, or use occlusion instead"
    assert f"needs a layer with a spatial activation, and {advice}" in reason(method(), stored, images, targets)
    if method is not Cam:
        message = reason(method(layer="conv_2"), stored, images, targets)
        assert message.startswith("the model has no layer conv_2 that can be seen, only ")
        assert message.endswith(advice)


def test_features_need_another_format(pair):
    _, stored = pair
    images, targets = case(stored)
    assert "take a .keras or .h5 file" in reason(NearestNeighbours(), stored, images, targets)
