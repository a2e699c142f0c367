"""What methods take over from one another: the same numbers, fewer passes, and never those of something else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analytic_models import Linear, SmallCnn, some_images, some_targets
from zoo import KINDS

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.attribution.methods.smoothgrad import SmoothGrad
from fruitaudit.attribution.methods.smoothgrad_sweep import SmoothGradSweep
from fruitaudit.attribution.methods.vargrad import VarGrad
from fruitaudit.attribution.registry import native_methods
from fruitaudit.attribution.sharing import Shared, sharing
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

SHARES = {
    "saliency": "input_x_gradient",
    "smoothgrad": "vargrad",
    "grad_cam": "layer_cam",
    "guided_backprop": "guided_grad_cam",
}


def passes_of(run, model) -> int:
    before = model.passes.forward + model.passes.gradient
    run()
    return model.passes.forward + model.passes.gradient - before


def test_a_smoothgrad_that_was_made_spares_vargrad_all_passes_and_the_sweep_a_seventh():
    model, images, targets, streams = SmallCnn(), some_images((12, 8, 3)), some_targets(5, 4), Streams(3)
    shared = Shared()
    with sharing(shared):
        assert passes_of(lambda: SmoothGrad()(model, images, targets, streams), model) == 5 * 20
    with sharing(shared):
        assert passes_of(lambda: SmoothGradSweep()(model, images, targets, streams), model) == 5 * (140 - 20)
        assert shared.hits == ["gradients at 20 copies with 20% noise"]
    with sharing(shared):
        assert passes_of(lambda: VarGrad()(model, images, targets, streams), model) == 0
        assert passes_of(lambda: VarGrad(noise=0.1)(model, images, targets, streams), model) == 5 * 20


def test_outside_nothing_is_kept_even_where_something_was_shared_before():
    model, images, targets, streams = Linear(), some_images((12, 10, 3)), some_targets(5, 4), Streams(3)
    with sharing(Shared()):
        before = Saliency()(model, images, targets, streams).values
    model.w = 2 * model.w
    after = Saliency()(model, images, targets, streams).values
    np.testing.assert_allclose(after, 2 * before, rtol=1e-6)


@pytest.mark.parametrize("other", ["model", "images", "targets", "against", "seed", "samples", "ids", "range"])
def test_what_differs_in_anything_is_made_anew(other: str):
    images = some_images((12, 8, 3))
    first = {
        "model": SmallCnn(), "images": images, "targets": some_targets(5, 4), "streams": Streams(3),
    }  # fmt: skip
    rivals = (first["targets"].classes + 1) % 4
    second = first | {
        "model": {"model": SmallCnn(scale=2.0)},
        "images": {"images": replace(images, values=images.values[::-1].copy())},
        "targets": {"targets": Targets(rivals)},
        "against": {"targets": Targets(first["targets"].classes, rivals)},
        "seed": {"streams": Streams(4)},
        "samples": {},
        "range": {"images": replace(images, high=2 * images.high)},
        "ids": {"images": replace(images, sample_ids=tuple(f"other/{i}" for i in range(5)))},
    }[other]  # fmt: skip
    method = VarGrad(samples=21 if other == "samples" else 20)
    alone = method(*second.values())
    shared = Shared()
    with sharing(shared):
        VarGrad()(*first.values())
        np.testing.assert_array_equal(method(*second.values()).values, alone.values)
    assert not shared.hits


@pytest.fixture(scope="module")
def network() -> Classifier:
    return Classifier.from_network(KINDS["sequential"]())


@pytest.mark.parametrize("backwards", [False, True])
def test_every_method_gives_the_same_maps_as_alone_in_whatever_order_they_run(network: Classifier, backwards: bool):
    images = some_images(network.input_shape, n=3)
    targets, streams, shared = some_targets(3, network.n_classes), Streams(3), Shared()
    families = ("gradient", "cam", "backward", "control")
    methods = [m() for m in native_methods().values() if m.registration.family in families]
    together = {}
    for method in reversed(methods) if backwards else methods:
        with sharing(shared):
            together[method.registration.name] = explain(method, network, images, targets, streams)
    compared = 0
    for method in methods:
        alone, explanation = explain(method, network, images, targets, streams), together[method.registration.name]
        assert type(alone) is type(explanation)
        if isinstance(alone, Maps):
            np.testing.assert_array_equal(explanation.values, alone.values, method.registration.name)
            compared += 1
    assert compared >= 15


@pytest.mark.parametrize(("first", "second"), SHARES.items())
def test_methods_that_need_the_same_gradients_share_them(network: Classifier, first: str, second: str):
    images, targets, streams = some_images(network.input_shape, n=3), some_targets(3, network.n_classes), Streams(3)
    one, other = native_methods()[first](), native_methods()[second]()
    alone = passes_of(lambda: other(network, images, targets, streams), network)
    with sharing(Shared()):
        one(network, images, targets, streams)
        together = passes_of(lambda: other(network, images, targets, streams), network)
    assert alone - together == one.model_passes(3, network.input_shape).gradient


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    model, images, targets, streams = SmallCnn(), some_images((12, 8, 3)), some_targets(5, 4), Streams(3)
    monkeypatch.setattr("fruitaudit.attribution.sharing.CACHE_BYTES", 2 * 2 * images.values.nbytes)
    shared = Shared()
    for noise in (0.1, 0.2, 0.3):
        with sharing(shared):
            SmoothGrad(noise=noise)(model, images, targets, streams)
    assert shared.size == 2 * 2 * images.values.nbytes
    with sharing(shared):
        assert passes_of(lambda: VarGrad(noise=0.2)(model, images, targets, streams), model) == 0
        assert passes_of(lambda: VarGrad(noise=0.3)(model, images, targets, streams), model) == 5 * 20
