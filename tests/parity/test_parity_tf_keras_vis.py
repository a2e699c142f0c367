"""tf-keras-vis against the native methods: equal where it is right, and where it is wrong, how."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import zoom

from fruitaudit.attribution.cams import activations
from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.grad_cam import GradCam, grad_cam
from fruitaudit.attribution.methods.grad_cam_pp import GradCamPlusPlus
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.attribution.methods.smoothgrad import SmoothGrad
from fruitaudit.attribution.noise import standard_normal
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.providers.keras_network import quiet
from fruitaudit.providers.tf_keras_vis import (
    GradCamByTfKerasVis,
    GradCamPlusPlusByTfKerasVis,
    SaliencyByTfKerasVis,
    ScoreCamByTfKerasVis,
    SmoothGradByTfKerasVis,
)
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

L = keras.layers
HEADS = {
    "logits": [L.Dense(5)],
    "softmax": [L.Dense(5, activation="softmax")],
    "Softmax layer": [L.Dense(5), L.Softmax()],
}


def network(head, scale=1.0):
    keras.utils.set_random_seed(2)
    explanation = keras.Sequential([
        L.Input((32, 24, 3)), L.Conv2D(6, 3, padding="same", activation="relu"), L.MaxPooling2D(),
        L.Conv2D(8, 3, activation="relu", name="last"), L.MaxPooling2D(), L.Flatten(),
        L.Dense(16, activation="relu"), *[type(layer).from_config(layer.get_config()) for layer in HEADS[head]],
    ])  # fmt: skip
    kernel = next(layer for layer in reversed(explanation.layers) if isinstance(layer, L.Dense)).kernel
    kernel.assign(kernel * scale)
    return explanation


@pytest.fixture(params=HEADS)
def loaded(request, tmp_path):
    """Saved and loaded, as audits get them: a loaded Sequential is another animal."""
    network(request.param).save(tmp_path / "m.keras")
    return Classifier.from_network(keras.models.load_model(tmp_path / "m.keras", compile=False))


def case(n=6):
    values = np.random.default_rng(5).uniform(0, 1, (n, 32, 24, 3)).astype(np.float32)
    # Full range in every image, so that both libraries mean the same by a share of the range.
    values[:, 0, 0], values[:, 0, 1] = 0, 1
    images = Images(values, tuple(f"x/{i}" for i in range(n)), np.zeros(3, np.float32), np.ones(3, np.float32))
    return images, Targets(np.arange(n, dtype=np.int64) % 5)


def correlations(ours, theirs):
    return np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(ours, theirs, strict=True)])


def test_saliency_is_the_same_on_every_head(loaded):
    ours, theirs = (method()(loaded, *case(), Streams(0)).values for method in (Saliency, SaliencyByTfKerasVis))
    assert correlations(ours, theirs).min() > 0.9999
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * abs(ours).max())


def test_replace_to_linear_crashes_on_sequential_models_and_passes_over_softmax_layers():
    """Why the adapters make the linear head themselves."""
    from tf_keras_vis.saliency import Saliency as Theirs
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    images, targets = case()
    scores = CategoricalScore(targets.classes.tolist())
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute 'output_names'"):
        Theirs(network("softmax"), model_modifier=ReplaceToLinear())
    for head, explained in (("softmax", "logit"), ("Softmax layer", "probability")):
        reference = network(head)
        functional, model = keras.Model(reference.inputs, reference.outputs[0]), Classifier.from_network(reference)
        with quiet():
            maps = Theirs(functional, model_modifier=ReplaceToLinear())(scores, images.values, normalize_map=False)
        expected = abs(model.gradient(images.values, targets.classes, explained)).max(axis=-1)
        np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_smoothgrad_averages_magnitudes_where_the_paper_averages_gradients():
    """Both are replayed from their own random draws: only the place of the absolute value tells them apart."""
    model = Classifier.from_network(network("logits"))
    images, targets = case(1)
    seed = Streams(0).integer("smoothgrad", "tf-keras-vis", images.sample_ids[0], bits=32)
    shape = (20, *images.values.shape[1:])
    their_noise = np.random.RandomState(seed).normal(0.0, 0.2, shape).astype(np.float32)
    rng = Streams(0).rng("smoothgrad", images.sample_ids[0])
    our_noise = np.stack([standard_normal(rng, shape[1:]) for _ in range(20)]) * np.float32(0.2)
    theirs, ours = (
        model.gradient(images.values + noise, targets.classes.repeat(20)) for noise in (their_noise, our_noise)
    )
    library_map = SmoothGradByTfKerasVis()(model, images, targets, Streams(0)).values[0]
    np.testing.assert_allclose(
        library_map, abs(theirs).mean(axis=0).max(axis=-1), rtol=1e-3, atol=1e-4 * library_map.max()
    )
    native = SmoothGrad()(model, images, targets, Streams(0)).values[0]
    np.testing.assert_allclose(native, abs(ours.mean(axis=0)).max(axis=-1), rtol=1e-3, atol=1e-4 * native.max())
    assert library_map.mean() > 1.2 * native.mean()
    assert correlations([native], [library_map])[0] < 0.9


def test_smoothgrad_without_noise_is_the_same(loaded):
    images, targets = case(2)
    without = SmoothGradByTfKerasVis(samples=2, noise=0.0)(loaded, images, targets, Streams(0)).values
    np.testing.assert_allclose(without, Saliency()(loaded, images, targets, Streams(0)).values, rtol=1e-3, atol=1e-5)


def their_formula(inside):
    """Eq. 19, but alpha divided by its sum over the layer, and Y = exp(S) kept."""
    a, g = inside.activations.astype(float), inside.gradients.astype(float)
    denominator = 2 * g**2 + a.sum(axis=(1, 2), keepdims=True) * g**3
    alpha = np.where(denominator != 0, g**2 / np.where(denominator != 0, denominator, 1), 0)
    total = alpha.sum(axis=(1, 2), keepdims=True)
    alpha = alpha / np.where(total != 0, total, 1)
    weights = (alpha * np.maximum(g, 0)).sum(axis=(1, 2), keepdims=True)
    return np.exp(inside.scores)[:, None, None] * np.maximum((weights * a).sum(axis=-1), 0)


def test_grad_cam_pp_divides_alpha_by_its_sum(loaded):
    """A sum below 0, which negative gradients can make, turns the weights around: evidence is then drawn as none."""
    images, targets = case()
    theirs = GradCamPlusPlusByTfKerasVis(layer="last")(loaded, images, targets, Streams(0)).values
    inside = loaded.layer_gradients(images.values, targets.classes, "last")
    replica = their_formula(inside)
    corner = np.s_[:, :: theirs.shape[1] - 1, :: theirs.shape[2] - 1]  # scipy's zoom keeps the four corners
    np.testing.assert_allclose(theirs[corner], replica[:, :: replica.shape[1] - 1, :: replica.shape[2] - 1], rtol=1e-3)
    ours = GradCamPlusPlus(layer="last")(loaded, images, targets, Streams(0)).values
    assert (theirs.max(axis=(1, 2)) == 0).sum() == 2
    assert (ours.max(axis=(1, 2)) > 0.3).all()
    evident = theirs.max(axis=(1, 2)) > 0
    assert correlations(ours[evident], theirs[evident]).max() < 0.7


def test_grad_cam_pp_is_not_finite_for_large_logits_and_the_native_one_is():
    model = Classifier.from_network(network("logits", scale=2000))
    images, _ = case()
    targets = Targets(model.logits(images.values).argmax(axis=1).astype(np.int64))
    assert model.logits(images.values).max(axis=1).min() > 89
    ours, theirs = (
        explain(method(layer="last"), model, images, targets, Streams(0)).values
        for method in (GradCamPlusPlus, GradCamPlusPlusByTfKerasVis)
    )
    assert not np.isfinite(theirs).all(axis=(1, 2)).any()
    assert np.isfinite(ours).all()
    assert (ours.max(axis=(1, 2)) > 0).all()


def test_grad_cam_is_the_same_but_for_the_enlarging(loaded):
    images, targets = case()
    theirs = GradCamByTfKerasVis(layer="last")(loaded, images, targets, Streams(0)).values
    ours = GradCam(layer="last")(loaded, images, targets, Streams(0)).values
    small = grad_cam(loaded.layer_gradients(images.values, targets.classes, "last"))
    for explanation in (theirs, ours):  # both keep the four corners, near enough
        corners = explanation[:, :: explanation.shape[1] - 1, :: explanation.shape[2] - 1]
        expected = small[:, :: small.shape[1] - 1, :: small.shape[2] - 1]
        np.testing.assert_allclose(corners, expected, rtol=1e-3, atol=1e-4 * small.max())
    evident = small.max(axis=(1, 2)) > 0
    assert evident.sum() == 3
    assert correlations(ours[evident], theirs[evident]).min() > 0.8


def test_score_cam_weighs_by_probability_and_not_by_softmax_over_the_maps(loaded):
    images, targets = case(2)
    theirs = ScoreCamByTfKerasVis(layer="last")(loaded, images, targets, Streams(0)).values
    inside = activations(loaded, images.values, "last")
    height, width = images.values.shape[1:3]
    zoomed = zoom(inside, (1, height / inside.shape[1], width / inside.shape[2], 1), order=1, mode="nearest")
    for n in range(2):
        cam = np.zeros(inside.shape[1:3])
        for k in range(inside.shape[-1]):
            mask = zoomed[n, ..., k]
            mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-7)
            masked = (images.values[n] * mask[..., None]).astype(np.float32)[None]
            cam += loaded.probabilities(masked)[0, targets.classes[n]] * inside[n, ..., k]
        corners = theirs[n, :: height - 1, :: width - 1]
        np.testing.assert_allclose(corners, cam[:: cam.shape[0] - 1, :: cam.shape[1] - 1], rtol=1e-3, atol=1e-5)
