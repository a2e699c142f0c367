"""CAM, Grad-CAM, Layer-CAM, Score-CAM and Eigen-CAM against replicas of the papers, and on every kind of model."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import zoo
from analytic_models import SmallCnn, some_images, some_targets
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.cam import Cam
from fruitaudit.attribution.methods.eigen_cam import EigenCam, eigen_cams
from fruitaudit.attribution.methods.grad_cam import GradCam, grad_cam
from fruitaudit.attribution.methods.grad_cam_pp import GradCamPlusPlus
from fruitaudit.attribution.methods.layer_cam import LayerCam, layer_cam
from fruitaudit.attribution.methods.score_cam import ScoreCam
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.explanations import Targets
from fruitaudit.records.passes import LayerGradients
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

L = keras.layers
ALL = (GradCam, GradCamPlusPlus, LayerCam, ScoreCam, EigenCam)


def opened(kind, n=3, *, own=False):
    model = Classifier.from_network(zoo.KINDS[kind](), batch_size=8) if own else zoo.classifier(kind)
    return model, some_images(model.input_shape, n=n, high=zoo.TOP.get(kind, 1.0)), some_targets(n, model.n_classes)


def random_layer(n=3, height=4, width=5, channels=6):
    rng = np.random.default_rng(0)
    shape = (n, height, width, channels)
    return LayerGradients(rng.normal(0.5, 1, shape), rng.normal(0, 1, shape), np.zeros(n))


def test_grad_cam_and_layer_cam_equal_their_papers_place_by_place():
    layer = random_layer()
    a, g = layer.activations, layer.gradients
    for n in range(3):
        grad, per_layer = np.zeros((4, 5)), np.zeros((4, 5))
        for k in range(6):
            alpha = sum(g[n, i, j, k] for i in range(4) for j in range(5)) / 20
            for i in range(4):
                for j in range(5):
                    grad[i, j] += alpha * a[n, i, j, k]
                    per_layer[i, j] += max(g[n, i, j, k], 0) * a[n, i, j, k]
        np.testing.assert_allclose(grad_cam(layer)[n], np.maximum(grad, 0))
        np.testing.assert_allclose(layer_cam(layer)[n], np.maximum(per_layer, 0))


@pytest.mark.parametrize("kind", ["added", "resnet", "subclassed"])
def test_grad_cam_is_the_positive_part_of_cam_over_the_number_of_places_on_a_pooling_head(kind):
    model, images, targets = opened(kind)
    cam = Cam()(model, images, targets, Streams(0))
    height, width = model.trace.find(model.cam_layer).shape[:2]
    # Where the maps are enlarged, the positive part is taken before: so it is compared where no enlarging is.
    inside = model.layer_gradients(images.values, targets.classes, model.cam_layer)
    weights = np.asarray(next(c.layer for c in reversed(model.trace.done) if c.kind == "Dense").kernel)
    for n in range(3):
        by_hand = inside.activations[n] @ weights[:, targets.classes[n]]
        large = cv2.resize(by_hand, cam.values.shape[:0:-1])
        np.testing.assert_allclose(cam.values[n], large, rtol=1e-3, atol=1e-4 * abs(large).max())
        np.testing.assert_allclose(
            grad_cam(inside)[n] * height * width, np.maximum(by_hand, 0), rtol=1e-3, atol=1e-4 * abs(by_hand).max()
        )


def test_cam_adds_up_to_the_logit():
    keras.utils.set_random_seed(3)
    network = keras.Sequential([
        L.Input((12, 12, 3)), L.Conv2D(6, 3, padding="same", activation="relu"), L.GlobalAveragePooling2D(), L.Dense(4)
    ])  # fmt: skip
    network.layers[-1].bias.assign([1.0, -2.0, 3.0, 0.5])
    model = Classifier.from_network(network)
    images, targets = some_images((12, 12, 3)), some_targets(5, 4)
    maps = Cam()(model, images, targets, Streams(0)).values
    bias = np.array([1.0, -2.0, 3.0, 0.5])[targets.classes]
    np.testing.assert_allclose(maps.mean(axis=(1, 2)) + bias, model.logits(images.values)[range(5), targets.classes],
                               rtol=1e-4, atol=1e-5)  # fmt: skip
    contrast = Targets(targets.classes, against=(targets.classes + 1) % 4, rule="contrast")
    rival = Cam()(model, images, Targets((targets.classes + 1) % 4), Streams(0)).values
    np.testing.assert_allclose(Cam()(model, images, contrast, Streams(0)).values, maps - rival, atol=1e-5)


@pytest.fixture(scope="module")
def pooled():
    """A network of global average pooling whose maps are as large as its images, so that no map is enlarged."""
    keras.utils.set_random_seed(6)
    body = [L.Input((10, 12, 3)), L.Conv2D(6, 3, padding="same", activation="relu"), L.GlobalAveragePooling2D()]
    return Classifier.from_network(keras.Sequential([*body, L.Dense(4, activation="softmax")]), batch_size=8)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), low=st.floats(-2, 0), span=st.floats(0.5, 4), k=st.integers(0, 3))
def test_grad_cam_is_the_positive_part_of_cam_on_a_pooling_head_whatever_the_images(pooled, seed, low, span, k):
    images, targets = some_images((10, 12, 3), n=3, low=low, high=low + span, seed=seed), Targets(np.full(3, k))
    cam, grad_cam = (method()(pooled, images, targets, Streams(0)).values for method in (Cam, GradCam))
    np.testing.assert_allclose(grad_cam * 120, np.maximum(cam, 0), rtol=0, atol=1e-5 * abs(cam).max())


def test_cam_of_one_sigmoid_unit():
    keras.utils.set_random_seed(3)
    body = [L.Input((12, 12, 3)), L.Conv2D(6, 3, activation="relu"), L.GlobalAveragePooling2D()]
    model = Classifier.from_network(keras.Sequential([*body, L.Dense(1, activation="sigmoid")]))
    images = some_images((12, 12, 3), n=2)
    maps = Cam()(model, images, Targets(np.array([0, 1])), Streams(0)).values
    other = Cam()(model, images, Targets(np.array([1, 0])), Streams(0)).values
    np.testing.assert_allclose(maps, -other, atol=1e-6)
    assert abs(maps).max() > 0


@pytest.mark.parametrize("head", ["flatten", "hidden", "maximum", "mlp"])
def test_cam_refuses_any_other_head(head):
    keras.utils.set_random_seed(3)
    heads = {
        "flatten": [L.Flatten()],
        "hidden": [L.GlobalAveragePooling2D(), L.Dense(6, activation="relu")],
        "maximum": [L.GlobalMaxPooling2D()],
    }
    body = [L.Input((10, 10, 3)), L.Conv2D(6, 3, activation="relu")]
    network = zoo.KINDS["mlp"]() if head == "mlp" else keras.Sequential([*body, *heads[head], L.Dense(4)])
    model = Classifier.from_network(network)
    with pytest.raises(CannotExplain, match=r"instead$"):
        Cam()(model, some_images(model.input_shape), some_targets(5, 4), Streams(0))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
def test_score_cam_equals_a_replica_that_takes_one_mask_at_a_time(low, high):
    keras.utils.set_random_seed(5)
    body = [L.Input((14, 12, 3)), L.Conv2D(6, 3, activation="relu", name="conv"), L.Flatten()]
    network = keras.Sequential([*body, L.Dense(4, activation="softmax")])
    kernel, bias = network.get_layer("conv").get_weights()
    bias[2] = -99  # a feature map that is nowhere active
    network.get_layer("conv").set_weights([kernel, bias])
    model = Classifier.from_network(network, batch_size=4)
    images, targets = some_images((14, 12, 3), n=3, low=low, high=high), some_targets(3, 4)
    explanation = ScoreCam()(model, images, targets, Streams(0))
    passes = model.passes.forward
    masks = 0
    for n in range(3):
        a = model.layer_gradients(images.values[n : n + 1], targets.classes[n : n + 1], "conv").activations[0]
        scores, used = [], []
        for k in range(6):
            large = cv2.resize(a[..., k], (12, 14))
            if large.max() == large.min():
                continue
            mask = (large - a[..., k].min()) / (a[..., k].max() - a[..., k].min())
            black = np.full((1, 14, 12, 3), low, np.float32)
            masked = low + (images.values[n : n + 1] - low) * mask[None, ..., None]
            scores.append(float((model.logits(masked.astype("f4")) - model.logits(black))[0, targets.classes[n]]))
            used.append(k)
        masks += len(used)
        assert 2 not in used
        alpha = np.exp(scores) / np.exp(scores).sum()
        small = np.maximum((a[..., used] * alpha).sum(axis=-1), 0)
        np.testing.assert_allclose(explanation.values[n], cv2.resize(small, (12, 14)), rtol=1e-3, atol=1e-5)
        assert explanation.diagnostics["largest_weight"][n] == pytest.approx(alpha.max(), rel=1e-3)
    assert passes == 3 + masks


def test_score_cams_of_different_classes_differ():
    """Where softmax is taken twice, weights are nearly even and the maps of all classes are the same."""
    model, images, _ = opened("sequential", n=2, own=True)
    model.network.layers[-1].kernel.assign(model.network.layers[-1].kernel * 20)
    maps = [ScoreCam()(model, images, Targets(np.full(2, k)), Streams(0)).values[0].ravel() for k in range(5)]
    assert np.corrcoef(maps).min() < 0.9


def activations_of_every_sort(shape):
    """Not below 0, with one pattern, with none that leads, of both signs, with two that are equal, and all 0."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0.3, 1, (6, *shape)).astype(np.float32)
    noise[0] = np.maximum(noise[0], 0)
    noise[1] = 5 * noise[1, :1, :1] + 0.1 * noise[1]
    equal = np.zeros((shape[0] * shape[1], shape[2]), np.float32)
    equal[0, 0], equal[1, 1] = 3, 3 - 1e-3
    noise[4], noise[5] = equal.reshape(shape), 0
    return noise


@pytest.mark.parametrize("shape", [(4, 5, 30), (9, 8, 6)])
def test_eigen_cam_is_the_first_singular_vector(shape):
    every = activations_of_every_sort(shape)
    maps, shares = eigen_cams(every)
    for a, explanation, share in zip(every[:-1], maps, shares, strict=False):
        places = a.reshape(-1, shape[-1]).astype(np.float64)
        _, s, vt = np.linalg.svd(places, full_matrices=False)
        projected = places @ vt[0]
        projected *= np.sign(projected.sum())
        expected = np.maximum(projected, 0)
        np.testing.assert_allclose(explanation.ravel(), expected, rtol=1e-4, atol=1e-4 * expected.max())
        assert share == pytest.approx(s[0] ** 2 / (s**2).sum(), rel=1e-4)
    assert shares[1] > 0.9
    assert min(shares) == 0.0
    assert (shares[2:4] < 0.5).any()
    assert not maps[-1].any()


def test_eigen_cam_of_activations_whose_squares_float32_cannot_hold():
    every = activations_of_every_sort((4, 5, 30))[:2]
    (default, shares), (large, same) = eigen_cams(every), eigen_cams(every * np.float32(1e25))
    np.testing.assert_allclose(large / np.float32(1e25), default, rtol=1e-4, atol=1e-4 * default.max())
    np.testing.assert_allclose(same, shares, rtol=1e-4)


def test_eigen_cam_does_not_ask_for_the_class():
    model, images, _ = opened("sequential")
    maps = [EigenCam()(model, images, Targets(np.full(3, k)), Streams(0)).values for k in (0, 1)]
    np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize("method", [GradCam, LayerCam])
def test_depths_are_those_of_a_pass_a_layer_from_one_pass(method):
    model, images, targets = opened("resnet")
    before = model.passes.snapshot()
    explanation = method(depths=4)(model, images, targets, Streams(0))
    assert model.passes.since(before).gradient == 3
    assert list(explanation.parts) == ["stem_relu", "block1_bn2", "block2_bn2", "block2_out"]
    for path, part in explanation.parts.items():
        alone = method(layer=path)(model, images, targets, Streams(0)).values
        places = np.prod(model.trace.find(path).shape[:2]) / np.prod(model.trace.find("block2_out").shape[:2])
        np.testing.assert_allclose(part, alone * places, rtol=1e-3, atol=1e-5 * abs(part).max())
    np.testing.assert_allclose(explanation.parts["block2_out"], explanation.values)
    default = method()(model, images, targets, Streams(0))
    np.testing.assert_allclose(default.values, explanation.values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ALL)
def test_another_layer_gives_another_map(method):
    model, images, targets = opened("sequential")
    default, last, early = (
        method(**layer)(model, images, targets, Streams(0)).values
        for layer in ({}, {"layer": "conv_2"}, {"layer": "conv_1"})
    )
    np.testing.assert_array_equal(default, last)
    # Of one size of values, so that it is the places that differ.
    default, early = default / default.max(axis=(1, 2), keepdims=True), early / early.max(axis=(1, 2), keepdims=True)
    assert (abs(early - default).max(axis=(1, 2)) > 0.1).all()


def test_fewer_layers_than_depths_gives_all_of_them():
    model, images, targets = opened("sequential")
    assert list(LayerCam(depths=6)(model, images, targets, Streams(0)).parts) == ["conv_1", "conv_2"]


@pytest.mark.parametrize("method", [*ALL, Cam])
def test_a_layer_without_places_and_an_unknown_one_are_told(method):
    model, images, targets = opened("sequential")
    if method is Cam:
        return
    for layer in ("hidden", "nothing"):
        explanation = explain(method(layer=layer), model, images, targets, Streams(0))
        expected = "the answer of layer hidden has no places" if layer == "hidden" else "the model has no layer nothing"
        assert isinstance(explanation, NotRun)
        assert expected in explanation.reason


@pytest.mark.parametrize("method", [GradCam, EigenCam])
def test_a_name_that_several_layers_have_is_told_with_their_paths(method):
    def part(name):
        return keras.Sequential([L.Conv2D(3, 3, activation="relu", name="conv")], name=name)

    network = keras.Sequential([L.Input((8, 8, 3)), part("a"), part("b"), L.Flatten(), L.Dense(4)])
    model = Classifier.from_network(network)
    images, targets = some_images(model.input_shape), some_targets(5, 4)
    with pytest.raises(CannotExplain, match="the model has 2 layers called conv; name one of them: a/conv, b/conv"):
        method(layer="conv")(model, images, targets, Streams(0))
    assert method(layer="a/conv")(model, images, targets, Streams(0)).values.any()


def test_a_layer_that_the_score_does_not_come_from_is_told():
    pixels = keras.Input((8, 8, 3))
    early = L.Conv2D(3, 3, name="early")(pixels)
    counted = keras.ops.cast(keras.ops.cast(early, "int32"), "float32")
    late = L.Conv2D(3, 3, activation="relu", name="late")(counted)
    model = Classifier.from_network(keras.Model(pixels, L.Dense(4)(L.Flatten()(late))))
    images, targets = some_images(model.input_shape), some_targets(5, 4)
    for options, advice in (({"layer": "early"}, "name another layer"), ({"depths": 2}, "leave out depths")):
        explanation = explain(GradCam(**options), model, images, targets, Streams(0))
        assert (
            f"does not depend on layer early by any gradient; {advice}, or use occlusion instead" in explanation.reason
        )


def test_on_any_model_that_tells_its_gradients():
    model, images, targets = SmallCnn(), some_images((12, 8, 3)), some_targets(5, 4)
    for method in (GradCam, LayerCam):
        assert method()(model, images, targets, Streams(0)).values.max() > 0
