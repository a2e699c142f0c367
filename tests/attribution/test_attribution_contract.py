"""What every registered method must keep, on every kind of model it can run on."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
import pytest
from analytic_models import Quadratic, SmallCnn, assert_same_maps, quick, some_images, some_targets, with_background

from fruitaudit.attribution.base import Passes
from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.registry import native_methods
from fruitaudit.records.explanations import Maps, Segments, Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

STREAMS = Streams(9)
MODELS = {
    "cnn": lambda **more: SmallCnn((12, 8, 3), **more),
    "cnn grey": lambda **more: SmallCnn((8, 12, 1), **more),
    "no layers": lambda **more: Quadratic((12, 10, 3), **more),
}
METHODS = {
    name: method
    for name, method in native_methods().items()
    if SmallCnn.offers.issuperset(method.registration.needs)
    and typing.get_type_hints(method.__call__)["return"] in (Maps, Segments)
}
"""Those that need more of a model keep theirs in `test_attribution_on_keras`."""
CASES = [
    pytest.param(method, kind, id=f"{name}-{kind}")
    for name, method in METHODS.items()
    for kind in MODELS
    if not (kind == "no layers" and method.registration.requires)
]


def run(method, model, images=None, classes=None):
    images = some_images(model.input_shape) if images is None else images
    targets = some_targets(len(images), model.n_classes) if classes is None else Targets(classes)
    explanation = explain(method, model, with_background(method, images), targets, STREAMS)
    assert not isinstance(explanation, NotRun), explanation.reason
    return explanation


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_result_is_a_finite_map_an_image_that_is_not_empty(method, kind):
    model = MODELS[kind]()
    explanation = run(quick(method), model)
    height, width, _ = model.input_shape
    assert explanation.values.shape == (5, height, width)
    assert explanation.values.dtype == np.float32
    assert np.isfinite(explanation.values).all()
    # Grad-CAM's own ReLU leaves nothing where all evidence is against the class.
    assert (abs(explanation.values).max(axis=(1, 2)) > 0).sum() >= (3 if method.registration.name == "grad_cam" else 4)
    assert all(v.shape == (5,) and np.isfinite(v).all() for v in explanation.diagnostics.values())
    assert explanation.diagnostics.keys() <= {one.name for one in method.registration.diagnostics}
    assert method.registration.signed or explanation.values.min() >= 0


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_passes_are_those_it_announces_in_full_batches(method, kind):
    model = MODELS[kind](batch_size=16)
    explanation = quick(method)
    run(explanation, model)
    announced = explanation.model_passes(5, model.input_shape)
    if explanation.registration.upper_bound:
        assert model.passes.forward <= announced.forward
        assert model.passes.gradient <= announced.gradient
    else:
        assert model.passes == announced
    assert (model.passes == Passes()) == (explanation.registration.family == "control")
    if not isinstance(run(explanation, model), Segments):
        # Twice; which tiles partition SHAP splits in a round is known after the last one.
        rounds = 5 if explanation.registration.name == "partition_shap" else 2
        assert sum(size % 16 != 0 for size in model.batches) <= 2 * rounds


@pytest.mark.parametrize(("method", "kind"), CASES)
@pytest.mark.parametrize("batch_size", [1, 7])
def test_batch_size_changes_nothing(method, kind, batch_size):
    whole = run(quick(method), MODELS[kind](batch_size=64)).values
    assert_same_maps(method, run(quick(method), MODELS[kind](batch_size=batch_size)).values, whole)


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_neither_order_nor_other_images_change_a_map(method, kind):
    model = MODELS[kind]()
    images, targets = some_images(model.input_shape), some_targets(5, model.n_classes)
    order = np.array([3, 0, 4])
    every = run(quick(method), model, images, targets.classes)
    selection = run(quick(method), model, images.select(order), targets.classes[order])
    assert_same_maps(method, selection.values, every.values[order])
    for name, numbers in every.diagnostics.items():
        np.testing.assert_allclose(selection.diagnostics[name], numbers[order], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_same_seed_same_bytes_and_images_left_alone(method, kind):
    model = MODELS[kind]()
    images = some_images(model.input_shape)
    before = images.values.copy()
    assert run(quick(method), model, images).values.tobytes() == run(quick(method), model, images).values.tobytes()
    np.testing.assert_array_equal(images.values, before)


@pytest.mark.parametrize(
    "name", ["smoothgrad", "lime", "vargrad", "smoothgrad_sweep", "expected_gradients", "rise", "control_random"]
)
def test_another_seed_gives_another_map(name):
    model, images = SmallCnn(), some_images((12, 8, 3))
    method, targets = quick(native_methods()[name]), some_targets(5, 4)
    maps = [method(model, with_background(method, images), targets, Streams(seed)).values for seed in (1, 2)]
    assert not np.array_equal(*maps)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_option_changes_the_map(method):
    changes = dict(method.registration.sensitivity_options + method.registration.contract_options)
    assert set(changes) == {field.name for field in dataclasses.fields(method)}
    model, images = SmallCnn((16, 16, 3)), some_images((16, 16, 3))
    default_maps = run(quick(method), model, images).values
    changes.pop("depths", None)  # further maps of networks with several layers: `test_cams`
    for option, value in changes.items():
        other = run(quick(method, **{option: value}), model, images).values
        assert abs(other - default_maps).max() > 1e-3 * abs(default_maps).max(), option


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_class_explained_matters(method):
    model = SmallCnn()
    maps = [run(quick(method), model, classes=np.full(5, k)).values for k in (0, 1)]
    assert (abs(maps[0] - maps[1]).max() > 1e-3 * abs(maps[0]).max()) == (method.registration.family != "control")


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_contrast_is_of_logits_or_refused(method):
    """Where it is exact, "A rather than B" is the map of A less that of B; and it never is the map of A alone."""
    model, images = SmallCnn(), some_images((12, 8, 3))
    targets = Targets(np.full(5, 2), against=np.full(5, 1), rule="contrast")
    explanation = explain(quick(method), model, with_background(quick(method), images), targets, STREAMS)
    if not method.registration.contrast:
        assert "cannot tell why one class was preferred to another" in explanation.reason
        return
    of_logits = {"explains": "logit"} if hasattr(method, "explains") else {}
    alone = run(quick(method, **of_logits), model, classes=np.full(5, 2)).values
    if method.registration.family == "control":
        np.testing.assert_array_equal(explanation.values, alone)
        return
    assert abs(explanation.values - alone).max() > 1e-2 * abs(alone).max()
    if method.registration.linear:
        rival = run(quick(method, **of_logits), model, classes=np.full(5, 1)).values
        np.testing.assert_allclose(explanation.values, alone - rival, rtol=1e-3, atol=1e-5 * abs(alone).max())


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_fills_and_segments_follow_the_range_of_the_input(method):
    """The same picture in 0..1 and, to a model that undoes the scale, in -1..3: the same superpixels, the same map."""

    class Rescaling(SmallCnn):
        def _layers(self, x):
            return super()._layers((x + 1) / 4)

        def _gradient(self, x, classes):
            return super()._gradient(x, classes) / 4

    default_maps = run(quick(method), SmallCnn()).values
    scaled = run(quick(method), Rescaling(), some_images((12, 8, 3), low=-1, high=3)).values
    power = method.registration.unit_power
    np.testing.assert_allclose(
        scaled * 4**power,
        default_maps,
        rtol=1e-3,
        atol=1e-4 * abs(default_maps).max(),
        err_msg=f"not per unit of the model input to the power of {power}: set unit_power in its registration, "
        "unless a colour or a superpixel does not follow the range",
    )


@pytest.mark.parametrize("method", [m for m in METHODS.values() if m.registration.requires])
def test_a_model_without_what_it_needs_gets_a_sentence(method):
    model = Quadratic()
    explanation = explain(method(), model, some_images(model.input_shape), some_targets(5, 4), STREAMS)
    assert isinstance(explanation, NotRun)
    assert "use occlusion instead" in explanation.reason


@pytest.mark.parametrize("method", native_methods().values(), ids=native_methods())
def test_registration_says_what_the_report_prints(method):
    registration = method.registration
    assert registration.question.endswith("?")
    assert "arXiv:" in registration.paper
    assert registration.provider == "native"
    for line in ("Paper:", "Differs from the paper:", "Returns"):
        assert line in method.__doc__
