"""shap's KernelExplainer and GradientExplainer against the native KernelSHAP and expected gradients."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from analytic_models import Wavy

from fruitaudit.attribution.methods.expected_gradients import ExpectedGradients
from fruitaudit.attribution.methods.kernel_shap import KernelShap
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.providers.keras_network import quiet
from fruitaudit.records.data import Background, Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

L = keras.layers
SHAPE, CLASS = (10, 12, 3), 3
ENDS = np.zeros(3, np.float32), np.ones(3, np.float32)


@contextlib.contextmanager
def numpys_own_stream():
    """shap seeds the global one, and leaves it so."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


@pytest.fixture
def game(monkeypatch):
    """A model, an image of eight superpixels, and the score that shap sees: of who is shown."""
    shape = (8, 12, 3)
    tiles = np.arange(8, dtype=np.int32).reshape(2, 4).repeat(4, axis=0).repeat(3, axis=1)
    monkeypatch.setattr("fruitaudit.attribution.methods.kernel_shap.superpixels", lambda *_: [tiles])
    model, value = Wavy(shape), np.random.default_rng(1).uniform(0.1, 0.9, shape).astype(np.float32)

    def score(visible):
        return model.probabilities(np.where((visible > 0)[:, tiles][..., None], value, 0))[:, 1]

    return model, Images(value[None], ("a",), *ENDS), score


def by_kernel_explainer(score, samples, seed=0):
    shap = pytest.importorskip("shap")
    with numpys_own_stream():
        np.random.seed(seed)
        explainer = shap.KernelExplainer(score, np.zeros((1, 8)))
        return explainer.shap_values(np.ones((1, 8)), nsamples=samples, l1_reg=False, silent=True)[0]


def by_kernel_shap(model, image, samples, seed=0):
    method = KernelShap(samples=samples, hide="black")
    return method(model, image, Targets(np.array([1])), Streams(seed)).coefficients[0]


def test_kernel_shap_is_equal_where_all_coalitions_fit(game):
    model, image, score = game
    theirs = by_kernel_explainer(score, 256)
    np.testing.assert_allclose(by_kernel_shap(model, image, 256), theirs, atol=1e-5)
    assert np.ptp(theirs) > 0.5


def test_kernel_shap_is_as_near_the_exact_values_where_coalitions_are_drawn(game):
    model, image, score = game
    exact = by_kernel_explainer(score, 256)
    ours = [abs(by_kernel_shap(model, image, 60, seed) - exact).mean() for seed in range(20)]
    theirs = [abs(by_kernel_explainer(score, 60, seed) - exact).mean() for seed in range(20)]
    assert np.mean(ours) < 1.1 * np.mean(theirs)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(4)
    return keras.Sequential([
        L.Input(SHAPE), L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(),
        L.Dense(24, activation="relu"), L.Dense(5, kernel_initializer=keras.initializers.RandomNormal(stddev=0.5)),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(2)
    references, values = (rng.uniform(0, 1, (n, *SHAPE)).astype(np.float32) for n in (8, 3))
    background = Background(references, np.zeros(8, np.int64), tuple("stuvwxyz"), 8)
    return Images(values, ("a", "b", "c"), *ENDS, background=background)


def by_shap(network, images, samples, seed):
    shap = pytest.importorskip("shap")
    with numpys_own_stream(), quiet():
        explainer = shap.GradientExplainer(network, images.background.values)
        return explainer.shap_values(images.values, nsamples=samples, rseed=seed)[..., CLASS].sum(axis=-1)


def by_hand(model, image, pairs):
    """Erion et al. 2021, eq. 5, one pair of a reference and a place on the way after another."""
    total = np.zeros(SHAPE)
    for reference, place in pairs:
        at = reference + np.float32(place) * (image - reference)
        total += (image - reference) * model.gradient(at[None], np.array([CLASS]))[0]
    return total.sum(axis=-1) / len(pairs)


def their_draws(images, samples, seed):
    random, references = np.random.RandomState(seed), images.background.values
    return [[(random.choice(len(references)), random.uniform()) for _ in range(samples)] for _ in images.values]


def ours(model, images, samples, seed=0):
    targets = Targets(np.full(len(images), CLASS))
    return ExpectedGradients(samples=samples)(model, images, targets, Streams(seed))


def test_expected_gradients_are_equal_draw_for_draw(network, images, monkeypatch):
    """On the draws of shap, which are those of the paper: each one independent of the others."""
    model, samples = Classifier.from_network(network), np.array(their_draws(images, 40, 7))
    theirs = by_shap(network, images, 40, 7)
    replica = [by_hand(model, image, [(images.background.values[int(r)], t) for r, t in draws])
               for image, draws in zip(images.values, samples, strict=True)]  # fmt: skip
    np.testing.assert_allclose(theirs, replica, rtol=1e-3, atol=1e-4 * abs(theirs).max())
    fed = samples[..., 0].astype(np.int64), samples[..., 1].astype(np.float32)
    monkeypatch.setattr(ExpectedGradients, "_draw", lambda *_: fed)
    np.testing.assert_allclose(ours(model, images, 40).values, theirs, rtol=1e-3, atol=1e-4 * abs(theirs).max())


@pytest.mark.slow
def test_at_equal_cost_ours_are_nearer_the_expectation_and_tell_their_error(network, images):
    """shap says nothing of its own: with 64 samples these maps miss the difference of the scores by 13 to 96 %."""
    model, references = Classifier.from_network(network), images.background.values
    every = [(reference, (k + 0.5) / 60) for reference in references for k in range(60)]
    expected = np.stack([by_hand(model, image, every) for image in images.values])
    difference = (model.logits(images.values) - model.logits(references).mean(axis=0))[:, CLASS]
    np.testing.assert_allclose(expected.sum(axis=(1, 2)), difference, atol=5e-3)
    explanation = [ours(model, images, 64, seed) for seed in range(5)]
    theirs = np.stack([by_shap(network, images, 64, seed) for seed in range(5)])
    assert abs(np.stack([maps.values for maps in explanation]) - expected).mean() < 0.8 * abs(theirs - expected).mean()
    error = abs(theirs.sum(axis=(2, 3)) - difference) / abs(difference)
    assert np.median(error) > 0.05
    for maps in explanation:
        gap = abs(maps.values.sum(axis=(1, 2)) - difference) / abs(difference)
        np.testing.assert_allclose(maps.diagnostics["completeness_error"], gap, rtol=1e-3)
