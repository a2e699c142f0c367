"""shap's DeepExplainer in its child process against the native DeepSHAP: equal on ReLUs, and where it is not, how."""

from __future__ import annotations

import numpy as np
import pytest
import zoo

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.deep_shap import DeepShap
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.providers.shap import DeepShapByShap
from fruitaudit.records.data import Background, Images
from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams


def case(kind, n=2):
    model = Classifier.from_network(zoo.KINDS[kind]())
    rng = np.random.default_rng(7)
    values, references = (rng.uniform(0, 1, (m, *model.input_shape)).astype(np.float32) for m in (n, 5))
    names = tuple(map(str, range(5)))
    background = Background(references, np.zeros(5, np.int64), names, 5)
    images = Images(values, names[:n], np.zeros(3, "f4"), np.ones(3, "f4"), background=background)
    return model, images, Targets(np.arange(n, dtype=np.int64))


def both(*case):
    return [explain(method(background=5), *case, Streams(0)) for method in (DeepShap, DeepShapByShap)]


@pytest.mark.slow
def test_maps_are_equal_on_relu_networks_with_shortcuts_and_normalization():
    ours, theirs = both(*case("resnet"))
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-5 * abs(ours.values).max())
    np.testing.assert_allclose(ours.diagnostics["score_difference"], theirs.diagnostics["score_difference"], rtol=1e-4)
    assert theirs.diagnostics["additivity_error"].max() < 1e-3


@pytest.mark.slow
def test_swish_adds_up_here_and_not_there():
    ours, theirs = both(*case("swish"))
    assert ours.diagnostics["additivity_error"].max() < 1e-4
    assert theirs.diagnostics["additivity_error"].min() > 0.02


@pytest.mark.slow
def test_a_failure_of_shap_is_told_and_harms_no_later_gradient():
    model, images, targets = case("relu6")
    before = model.gradient(images.values, targets.classes)
    explanation = explain(DeepShapByShap(background=5), model, images, targets, Streams(0))
    assert isinstance(explanation, NotRun)
    assert "gradient registry has no entry for: shap_Relu6" in explanation.reason
    assert explanation.reason.endswith("use the native method instead")
    fresh = Classifier.from_network(model.network)
    np.testing.assert_array_equal(fresh.gradient(images.values, targets.classes), before)


def test_a_model_with_code_of_its_own_is_refused():
    explanation = explain(DeepShapByShap(), *case("subclassed"), Streams(0))
    assert "this library explains models made of layers" in explanation.reason
