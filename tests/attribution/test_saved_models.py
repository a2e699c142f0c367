"""A network out of a file, a SavedModel above all, is explained as the network itself is."""

from __future__ import annotations

import numpy as np
import pytest
import zoo
from backward_cases import case, reason, run

from fruitaudit.attribution.deconvolution import Deconvolution
from fruitaudit.attribution.deep_lift import DeepLift
from fruitaudit.attribution.deep_shap import DeepShap
from fruitaudit.attribution.guided_backprop import GuidedBackprop
from fruitaudit.attribution.lrp import Lrp
from fruitaudit.models.classifier import Classifier, open_classifier

METHODS = (Lrp(), Lrp(convolution="gamma", first="box"), DeepLift(), DeepShap(background=3), GuidedBackprop(),
           Deconvolution())  # fmt: skip


@pytest.fixture(scope="module", params=["resnet", "swish", "grouped"])
def pair(request, tmp_path_factory):
    """The network in memory, and out of a SavedModel."""
    folder = tmp_path_factory.mktemp(request.param) / "model"
    network = zoo.KINDS[request.param]()
    network.export(folder, verbose=False)
    return Classifier.from_network(network, batch_size=8), open_classifier(folder, trust=True, batch_size=8)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.registration.name)
def test_rules_reach_into_a_saved_model(method, pair):
    known, stored = pair
    images, targets = case(known, high=zoo.TOP.get(known.network.name, 1.0))
    if known.network.name == "small_cnn" and method.registration.name in ("guided_backprop", "deconvolution"):
        assert "has no rule for" in reason(method, stored, images, targets)  # swish
        return
    expected, made = (run(method, model, images, targets) for model in pair)
    np.testing.assert_allclose(made.values, expected.values, rtol=1e-3, atol=5e-3 * abs(expected.values).max())
