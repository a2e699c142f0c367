import itertools
from dataclasses import replace
from math import comb, factorial

import numpy as np
import pytest
from analytic_models import AdditiveInSegments, Counting, SmallCnn, some_images, some_targets
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.attribution.methods.kernel_shap import KernelShap, coalitions, shapley_values
from fruitaudit.attribution.methods.lime import Lime
from fruitaudit.attribution.superpixels import image_superpixels, superpixels
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


def shapley(n, value):
    """The definition: the mean gain over all coalitions, weighted by their number of orders."""
    phi = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            for members in itertools.combinations(others, size):
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                phi[i] += weight * (value(frozenset(members) | {i}) - value(frozenset(members)))
    return phi


def a_game(n, seed):
    """A random value for every coalition."""
    worth = np.random.default_rng(seed).normal(size=2**n)
    return lambda members: worth[sum(1 << i for i in members)]


def played(value, shown):
    return np.array([value(frozenset(np.flatnonzero(row))) for row in shown], np.float32)


@pytest.mark.parametrize("n", range(1, 12))
def test_exact_shapley_values_where_all_coalitions_fit(n):
    value = a_game(n, n)
    visible, weights, exact = coalitions(n, 2**n, np.random.default_rng(0))
    assert exact
    assert len({row.tobytes() for row in visible}) == len(visible) == 2**n
    np.testing.assert_allclose(shapley_values(visible, weights, played(value, visible)), shapley(n, value), atol=1e-5)


def test_the_kernel_is_that_of_theorem_2():
    visible, weights, _ = coalitions(6, 64, np.random.default_rng(0))
    size = visible[2:].sum(axis=1)
    kernel = np.array([5 / (comb(6, s) * s * (6 - s)) for s in size])
    np.testing.assert_allclose(weights / weights[0], kernel / kernel[0])


def test_coalitions_that_do_not_all_fit_are_drawn_in_pairs_with_the_weight_of_their_size():
    visible, weights, exact = coalitions(20, 400, np.random.default_rng(1))
    assert not exact
    assert len(visible) == 400
    assert not visible[0].any()
    assert visible[1].all()
    size = visible[2:].sum(axis=1)
    assert (np.bincount(size, minlength=21)[[1, 19]] == 20).all()  # all of these
    mass = np.array([1 / (s * (20 - s)) for s in range(1, 20)])
    for s in (1, 19):
        assert weights[size == s].sum() == pytest.approx(mass[s - 1])
    assert weights.sum() == pytest.approx(mass.sum())
    draws = visible[2:][(size > 1) & (size < 19)]
    np.testing.assert_array_equal(draws[::2], ~draws[1::2])


def test_estimates_come_near_the_exact_values_and_add_up():
    n = 14
    effect, pair = np.random.default_rng(2).normal(size=n), np.random.default_rng(3).normal(size=(n, n)) / 4

    def value(members):
        z = np.array([i in members for i in range(n)], float)
        return float(z @ effect + z @ pair @ z + np.tanh(z.sum() - 7))

    exact_shown, exact_weights, _ = coalitions(n, 2**n, np.random.default_rng(0))
    exact = shapley_values(exact_shown, exact_weights, played(value, exact_shown))
    visible, weights, _ = coalitions(n, 1024, np.random.default_rng(0))
    found = shapley_values(visible, weights, played(value, visible))
    assert abs(found - exact).max() < 0.05 * abs(exact).max()
    assert found.sum() == pytest.approx(value(range(n)) - value(()), rel=1e-5)


def explained(method, model, images, **options):
    return method(**options)(model, images, Targets(np.zeros(len(images), np.int64)), Streams(3))


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 999), samples=st.sampled_from([512, 2048]), segmentation=st.sampled_from(["quickshift", "slic"])
)
def test_exact_on_an_additive_model(seed, samples, segmentation):
    """From the image to the record, whether all coalitions are there or some are drawn."""
    images = some_images((24, 28, 3), n=1, seed=seed)
    options = {"samples": samples, "segmentation": segmentation}
    segments = explained(KernelShap, SmallCnn((24, 28, 3)), images, **options | {"samples": 10}).segments[0]
    n = int(segments.max()) + 1
    effects = np.random.default_rng(seed).uniform(-0.4, 0.4, n) / n
    explanation = explained(KernelShap, AdditiveInSegments(segments, effects), images, hide="black", **options)
    np.testing.assert_allclose(explanation.coefficients[0], effects, rtol=0, atol=1e-5 * abs(effects).max())
    assert explanation.diagnostics["score_difference"][0] == pytest.approx(effects.sum(), abs=1e-6)
    assert explanation.diagnostics["exact"][0] == (2**n <= samples)


def test_lime_has_the_same_superpixels_in_the_same_order():
    images, model = some_images((40, 40, 3), n=2), SmallCnn((40, 40, 3))
    ours, theirs = (explained(method, model, images, samples=10) for method in (KernelShap, Lime))
    np.testing.assert_array_equal(ours.segments, theirs.segments)


def test_superpixels_of_the_same_image_are_found_once_and_cannot_be_changed():
    images, streams = some_images((12, 10, 3), n=3), Streams(3)
    image_superpixels.cache_clear()
    first, repeated = list(superpixels(images, streams, "slic")), list(superpixels(images, streams, "slic"))
    assert all(one is other for one, other in zip(first, repeated, strict=True))
    other_seed, other_kernel = superpixels(images, Streams(4), "slic"), superpixels(images, streams, "slic", 2)
    brighter = superpixels(replace(images, values=images.values + 0.1), streams, "slic")
    for others in (other_seed, other_kernel, brighter, superpixels(images, streams, "quickshift")):
        assert not any(one is other for one, other in zip(first, others, strict=True))
    with pytest.raises(ValueError, match="read-only"):
        first[0][0, 0] = 1


def test_on_a_network_it_is_the_shapley_value_of_its_superpixels():
    images, model, targets = some_images((16, 12, 3), n=2), SmallCnn((16, 12, 3)), some_targets(2, 4)
    explanation = KernelShap(hide="black")(model, images, targets, Streams(3))
    assert (explanation.diagnostics["exact"] == 1).all()
    for i in range(2):
        n = int(explanation.diagnostics["superpixels"][i])
        assert 3 <= n <= 10

        def value(members, i=i):
            visible = np.isin(explanation.segments[i], list(members))[..., None]
            image = np.where(visible, images.values[i], 0).astype(np.float32)
            return float(model.probabilities(image[None])[0, targets.classes[i]])

        np.testing.assert_allclose(explanation.coefficients[i, :n], shapley(n, value), atol=1e-5)
    assert np.isnan(explanation.coefficients[:, n + 1 :]).all()


def test_an_image_of_one_superpixel_gets_the_whole_difference():
    class Grey(Counting):
        def probabilities(self, values):
            p = self._count(values, forward=1).mean(axis=(1, 2, 3))
            return np.stack([p, 1 - p], axis=1).astype(np.float32)

    images = some_images((28, 28, 1), n=4)
    explanation = explained(KernelShap, Grey((28, 28, 1), 2), images, kernel=4.0, hide="black")
    single = explanation.diagnostics["superpixels"] == 1
    assert single.any()
    np.testing.assert_allclose(
        explanation.coefficients[single, 0], images.values[single].mean(axis=(1, 2, 3)), atol=1e-5
    )
    assert "one superpixel" in explanation.notes[0]
