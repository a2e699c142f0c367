"""A method runs where the model offers what it needs, and is refused in a sentence where not; no backend is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from analytic_models import Linear, quick, some_images, some_targets, with_background
from numpy_network import Only, PooledCnn

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.registry import native_methods
from fruitaudit.models.base import lacking
from fruitaudit.providers.registry import all_methods
from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

BY_RULES = {"deconvolution", "deep_lift", "deep_shap", "guided_backprop", "guided_grad_cam", "lrp"}
BY_SCORES = {"kernel_shap", "lime", "occlusion", "partition_shap", "rise"}
CONTROLS = {name for name in native_methods() if name.startswith("control_")}


def outcome(method, model):
    """What a method shows of three images, or of the model itself."""
    images = with_background(method, some_images(model.input_shape, n=3))
    about_model = method.registration.subject == "model"
    targets = some_targets(0 if about_model else 3, model.n_classes)
    return explain(method, model, images.select(slice(0, len(targets.classes))), targets, Streams(3))


def test_all_but_those_with_rules_of_their_own_run_on_a_network_in_numpy():
    explanation = {name: outcome(quick(method), PooledCnn()) for name, method in native_methods().items()}
    refused = {name: one for name, one in explanation.items() if isinstance(one, NotRun)}
    assert {name: one.reason for name, one in refused.items() if name not in BY_RULES} == {}
    assert refused.keys() == BY_RULES
    for name, one in refused.items():
        title = native_methods()[name].registration.title
        lacks = "rules for the way back through its operations, which this model does not offer"
        assert one == NotRun(f"{title} needs {lacks}; use integrated_gradients instead", "not_applicable")


def test_a_model_of_scores_alone_is_explained_by_what_needs_no_more():
    explanation = {
        name: outcome(quick(method), Only(PooledCnn(), "scores")) for name, method in native_methods().items()
    }
    assert {name for name, one in explanation.items() if not isinstance(one, NotRun)} == BY_SCORES | CONTROLS
    for name, one in explanation.items():
        if isinstance(one, NotRun):
            assert one.reason.startswith(f"{native_methods()[name].registration.title} needs ")
            assert one.reason.endswith("which this model does not offer; use occlusion instead")


@pytest.mark.parametrize("name", sorted(set(native_methods()) - CONTROLS))
def test_a_method_says_all_that_it_needs(name):
    """Whatever it needs, it is refused where that is missing, and with nothing else missing it runs."""
    method = quick(native_methods()[name])
    needs = method.registration.needs
    for part in needs:
        model = Only(PooledCnn(), *(set(needs) - {part}))
        assert isinstance(outcome(method, model), NotRun)
        assert lacking(model, needs)
    if name not in BY_RULES:
        explanation = outcome(method, Only(PooledCnn(), *needs))
        assert not isinstance(explanation, NotRun), explanation.reason


def test_libraries_that_explain_keras_alone_leave_other_models_to_the_native_method():
    for (_, provider), method in all_methods().items():
        needs = method.registration.needs
        assert ("keras_network" in needs) == (provider in ("tf-explain", "tf-keras-vis", "shap", "alibi"))
    method = all_methods()["saliency", "tf-explain"]
    explanation = explain(method(), Linear(), some_images((12, 10, 3)), Targets(np.zeros(5, np.int64)), Streams(0))
    assert explanation.reason == (
        "Saliency needs the Keras network itself, which this model does not offer; use the native method instead"
    )


@pytest.mark.parametrize("against", [None, np.array([2, 2, 2])])
def test_the_network_s_gradients_are_those_of_its_scores(against):
    """Central differences, so that what the methods show of it can be believed."""
    model, classes = PooledCnn(), np.array([0, 1, 3])
    x = some_images(model.input_shape, n=3).values.astype(np.float64)
    step, place = 1e-5, (slice(None), 5, 2, 1)
    higher, lower = x.copy(), x.copy()
    higher[place] += step
    lower[place] -= step
    change = (model._logits(higher) - model._logits(lower)) / (2 * step)
    expected = change[np.arange(3), classes] - (0 if against is None else change[np.arange(3), 2])
    gradient = model.gradient(x.astype(np.float32), classes, against=against)[place]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_neither_tensorflow_nor_keras_is_imported_for_a_network_in_numpy():
    code = (
        "import sys\n"
        "from test_what_a_model_offers import outcome, quick, native_methods, PooledCnn\n"
        "for method in native_methods().values(): outcome(quick(method), PooledCnn())\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | path)
    assert done.returncode == 0, done.stderr
