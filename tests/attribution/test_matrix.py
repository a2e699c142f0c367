"""Every native method on every kind of model: a result that is right, or a sentence that says what to use instead.

The kinds and the options stand in `matrix`, with what each kind lacks; what a method requires stands in its
registration. A method that fails without saying so, or newly works, is seen.
"""

from __future__ import annotations

import functools
import re
import typing

import matrix
import numpy as np
import pytest
from analytic_models import Linear

from fruitaudit.attribution.base import CONVOLUTION, POOLING_HEAD
from fruitaudit.attribution.baselines import hidden
from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.attribution.registry import native_methods
from fruitaudit.records.evidence import Counterfactuals, FeatureMaps, LayerFilters, Neighbours, Synthetic
from fruitaudit.records.explanations import Maps, Segments
from fruitaudit.records.states import NotRun

PLACES = {"vit": "come tokens", "mlp": "none is found in this model", "saved_model": "a SavedModel hides its layers"}
"""What a method that needs one is told there is instead."""
ROUGH = {"nested_functional"}
"""Random weights under many normalizations: no number of steps or samples is enough."""
NOT_FOUND = {"PN": {"relu6"}, "PP": ROUGH}
"""Where the search is too short for a pertinent negative or positive."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=pytest.mark.slow if kind in matrix.ALIKE else ()) for kind in matrix.KINDS],
)
def opened(request):
    return request.param, matrix.classifier(request.param)


@pytest.mark.parametrize("name", native_methods())
def test_cell(opened, name):
    kind, model = opened
    assert_as_told(matrix.cell(name, kind, model), name, kind, model)


def assert_as_told(cell, name, kind, model):
    """Assert that this cell is as the tables above say."""
    if matrix.refuses(name, kind):
        assert isinstance(cell.result, NotRun), f"{name} works on {kind}, which lacks what it requires"
        assert_names_what_to_use(cell.result.reason, kind)
        assert_says_what_is_missing(cell, kind)
        return
    assert not isinstance(cell.result, NotRun), cell.result.reason
    assert type(cell.result) is typing.get_type_hints(cell.method.__call__)["return"]
    for values, shape in shown(cell, kind, model):
        assert values.shape == shape
        assert np.isfinite(values).all()
        assert not any(np.ptp(picture) == 0 for picture in values)
    errors = [error for key, error in cell.result.diagnostics.items() if re.search("(additiv|complete|conserv)", key)]
    if errors or cell.method.registration.adds_up:
        assert_adds_up(cell, name, kind, model, errors)


def assert_names_what_to_use(reason, kind):
    """The sentence ends with another method, which works on this kind."""
    assert "failed on this model" not in reason
    advice = re.search(r"; .*use .+ instead$", reason)
    assert advice, reason
    named = [name for name in native_methods() if re.search(rf"\b{name}\b", advice[0])]
    assert named, reason
    assert not [name for name in named if matrix.refuses(name, kind)], reason


def assert_says_what_is_missing(cell, kind):
    """Where a method needs a layer: what stands in the place of one."""
    reason, requires = cell.result.reason, cell.method.registration.requires
    if POOLING_HEAD in requires and kind not in matrix.NO_PLACES:
        # What the nested networks pool is 1 x 1 at 32 pixels: no map.
        assert ("for images of 32 x 32 is 1 x 1" if kind in ROUGH else "straight after the last layer") in reason
        assert "use Grad-CAM (grad_cam) instead" in reason
    elif kind == "mlp" and CONVOLUTION in requires:
        assert "no convolution is to be seen in this model" in reason
    elif kind in PLACES and "backward_rules" not in cell.method.registration.needs:
        assert PLACES[kind] in reason
        assert reason.endswith("use occlusion instead")


def assert_boxes_lie_inside(boxes, model):
    """In pixels; -1 where the model has no layer with places."""
    if model.cam_layer is None:
        assert (boxes == -1).all()
        return
    height, width, _ = model.input_shape
    assert boxes.min() >= 0
    assert boxes[..., 2].max() <= height
    assert boxes[..., 3].max() <= width
    assert (boxes[..., 2:] > boxes[..., :2]).all()


def shown(cell, kind, model):
    """What a reader sees, arrays with one row a picture, and the shape that each must have."""
    explanation, n, pixels = cell.result, len(cell.images), model.input_shape
    match explanation:
        case Maps():
            return [(values, (n, *pixels[:2])) for values in (explanation.values, *explanation.parts.values())]
        case Segments():
            assert np.isfinite(explanation.coefficients).any(axis=1).all()
            return [(explanation.values, (n, *pixels[:2]))]
        case FeatureMaps():
            assert explanation.layers
            return [(m.values, (n, *m.values.shape[1:3], len(m.channels))) for m in explanation.layers]
        case LayerFilters():
            assert explanation.layers
            return [(bank.values[None], (1, *bank.shape[:2], *bank.values.shape[2:])) for bank in explanation.layers]
        case Synthetic():
            assert {unit.index for unit in explanation.units if not unit.layer} == set(range(model.n_classes))
            assert (
                explanation.low.max() <= explanation.values.min() <= explanation.values.max() <= explanation.high.min()
            )
            assert np.isfinite(explanation.reached).all()
            return [(explanation.values, (len(explanation.units), *pixels))]
        case Counterfactuals():
            return [(values, (len(values), *pixels)) for values in confirmed(cell, kind, model)]
        case Neighbours():
            assert (np.diff(explanation.distances, axis=1) >= 0).all()
            assert np.isfinite(explanation.distances).all()
            assert_boxes_lie_inside(explanation.boxes, model)
            return [(explanation.values.reshape(-1, *pixels), (n * 5, *pixels))]
    raise AssertionError(f"no check for {type(explanation)}")


def confirmed(cell, kind, model):
    """Pertinent negatives and positives, of which the model says what is told; those that are not vacuous."""
    assert [part.mode for part in cell.result.parts] == ["PN", "PP"]
    for part in cell.result.parts:
        assert part.found.all() or kind in NOT_FOUND[part.mode]
        assert np.isnan(part.values[~part.found]).all()
        answers = model.probabilities(part.values[part.found]).argmax(axis=1)
        np.testing.assert_array_equal(answers, part.classes[part.found])
        np.testing.assert_array_equal(answers == cell.targets.classes[part.found], part.mode == "PP")
        yield part.values[part.found & (np.array(part.vacuous) == "")]


def assert_adds_up(cell, name, kind, model, told):
    """What is shared out, and what stays inside, is the score less that of the reference; so is the error told."""
    adds_up = cell.method.registration.adds_up
    assert adds_up, f"{name} tells an error of its sum: its registration must say what it adds_up to"
    error = missed(cell, model)
    tolerance = max(adds_up.within or 0, 1e-2 if kind == "mixed_float16" else 1e-3)
    rounded = rounding(cell, model) if kind == "mixed_float16" else np.zeros(len(error))
    for errors in told:
        assert (abs(errors - error) <= 0.05 * error + tolerance / 5 + rounded).all(), (errors, error, rounded)
    if adds_up.within:
        assert (error < tolerance + rounded).all(), (error, rounded)


def rounding(cell, model):
    """(N,) as a share of what attributions add up to, how far two passes may differ that round to half precision.

    Each layer with weights rounds by half a unit in the last place, in either score. The unit is that of the sum of the
    sizes of all that the last layer adds up.
    """
    features, kernel = model.features(cell.images.values), abs(np.asarray(model.network.layers[-1].kernel))
    sizes = (abs(features) @ kernel)[np.arange(len(features)), cell.targets.classes]
    less = cell.method.registration.adds_up.less
    promised = score(cell, model, cell.images.values) - start(cell, model, less)
    layers = sum(1 for layer in model.network.layers if layer.weights)
    # A probability moves by a quarter of its logit's change at the most.
    slope = 0.25 if cell.method.registration.explains == "probability" else 1.0
    return 2 * layers * np.finfo(np.float16).eps / 2 * slope * sizes / abs(promised)


def missed(cell, model):
    """(N,) by how much attributions miss what they add up to, as a share of that."""
    explanation, less = cell.result, cell.method.registration.adds_up.less
    parts = (
        explanation.coefficients
        if isinstance(explanation, Segments)
        else explanation.values.reshape(len(explanation.values), -1)
    )
    shared = np.nansum(parts, axis=1, dtype=np.float64) + explanation.diagnostics.get("kept_inside", 0)
    promised = score(cell, model, cell.images.values) - start(cell, model, less)
    return abs(shared - promised) / abs(promised)


@pytest.mark.parametrize(
    ("name", "options", "within"),
    [
        ("integrated_gradients", {"steps": "auto"}, 1e-2),
        ("expected_gradients", {"samples": 1024, "references": 1}, 0.1),
    ],
)
def test_with_enough_steps_or_samples_it_adds_up(opened, name, options, within):
    kind, model = opened
    cell = matrix.cell(name, kind, model, **options)
    error = missed(cell, model)
    if name == "integrated_gradients" and kind in ROUGH:
        assert f"{(error >= 0.01).sum()} of {len(error)} maps do not converge" in cell.result.notes[-1]
    elif kind not in ROUGH:
        assert error.max() < within, error


def score(cell, model, values):
    """(N,) what the method explains, of each image's class."""
    scores = model.probabilities if cell.method.registration.explains == "probability" else model.logits
    return scores(values)[np.arange(len(values)), cell.targets.classes].astype(np.float64)


def start(cell, model, less):
    """The score that attributions start from, (N,) or one number."""
    images = cell.images
    if less == "nothing":
        return 0.0
    if less == "background":
        return model.logits(images.background.values).mean(axis=0, dtype=np.float64)[cell.targets.classes]
    hide = "black" if less == "black" else cell.method.hide
    return score(cell, model, hidden(images, hide))


def test_what_kinds_lack_is_what_methods_require():
    assert {
        one for method in native_methods().values() for one in method.registration.requires
    } == matrix.LACKING.keys()
    assert all(kinds <= set(matrix.KINDS) for kinds in matrix.LACKING.values())


def test_a_right_method_passes_its_cell():
    model = Linear()
    assert_as_told(
        matrix.cell("integrated_gradients", "sequential", model), "integrated_gradients", "sequential", model
    )


@pytest.mark.parametrize("wrong", ["raises", "empty", "not finite", "doubled", "refuses"])
def test_a_wrong_method_fails_its_cell(wrong, monkeypatch):
    from fruitaudit.errors import CannotExplain

    right = IntegratedGradients.__call__

    @functools.wraps(right)
    def call(*arguments):
        explanation = right(*arguments)
        if wrong == "raises":
            raise TypeError("use saliency instead")
        if wrong == "refuses":
            raise CannotExplain("no way; use saliency instead")
        factor = {"empty": 0, "not finite": np.nan, "doubled": 2}[wrong]
        return Maps((explanation.values * factor).astype(np.float32), explanation.diagnostics)

    monkeypatch.setattr(IntegratedGradients, "__call__", call)
    model = Linear()
    cell = matrix.cell("integrated_gradients", "sequential", model)
    with pytest.raises(AssertionError):
        assert_as_told(cell, "integrated_gradients", "sequential", model)


def test_an_exception_is_no_refusal():
    with pytest.raises(AssertionError):
        assert_names_what_to_use("CAM failed on this model: TypeError: none; use saliency instead", "sequential")
    with pytest.raises(AssertionError):  # which this kind refuses, too
        assert_names_what_to_use("Grad-CAM has no layer; use cam instead", "sequential")
