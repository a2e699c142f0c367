import numpy as np
import pytest
import scipy.stats
from analytic_models import Quadratic, SmallCnn, some_images, some_targets

from fruitaudit.attribution.methods.vargrad import VarGrad
from fruitaudit.attribution.noise import _slices, standard_normal
from fruitaudit.runtime.streams import Streams


def test_equals_the_variance_of_the_gradients_at_the_same_noise():
    model, images, targets = SmallCnn(scale=2.0), some_images((12, 8, 3), n=2), some_targets(2, 4)
    maps = VarGrad(samples=9, noise=0.3, channels="l2")(model, images, targets, Streams(4)).values
    for i, sample_id in enumerate(images.sample_ids):
        rng = Streams(4).rng("smoothgrad", sample_id)
        noise = np.stack([standard_normal(rng, (12, 8, 3)) for _ in range(9)]) * np.float32(0.3)
        gradients = model.gradient(images.values[i] + noise, targets.classes[i].repeat(9))
        variance = gradients.astype(float).var(axis=0, ddof=1)
        np.testing.assert_allclose(maps[i], np.sqrt((variance**2).sum(axis=-1)), rtol=1e-4, atol=1e-10)


def test_on_a_quadratic_model_it_is_the_squared_curvature_times_the_noise_and_knows_nothing_of_the_gradient():
    model, images, targets = Quadratic((6, 5, 3)), some_images((6, 5, 3)), some_targets(5, 4)
    maps = VarGrad(samples=3000, noise=0.2)(model, images, targets, Streams(1)).values
    q = np.moveaxis(model.q, -1, 0)[np.arange(5) % 4]
    np.testing.assert_allclose(maps, (0.04 * q**2).max(axis=-1), rtol=0.15)


def test_no_noise_no_variance():
    maps = VarGrad(samples=5, noise=0.0)(SmallCnn(), some_images((12, 8, 3)), some_targets(5, 4), Streams(0)).values
    assert maps.max() == pytest.approx(0, abs=1e-12)


def test_the_noise_is_normal_and_its_halves_are_independent():
    draws = standard_normal(Streams(3).rng("noise"), (333, 301, 3))
    assert draws.dtype == np.float32
    assert scipy.stats.kstest(draws.ravel(), "norm").pvalue > 0.01
    half = draws.size // 2
    first, second = draws.ravel()[:half], draws.ravel()[-half:]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01
    assert abs(np.corrcoef(first**2, second**2)[0, 1]) < 0.01


def test_every_value_of_the_noise_is_as_likely_and_their_moments_are_those_of_the_normal():
    values = np.sort(_slices().astype(float))
    assert len(np.unique(values)) == 1 << 16
    assert abs(values.mean()) < 1e-7
    assert values.var() == pytest.approx(1, abs=1e-6)
    assert (values**4).mean() == pytest.approx(3, rel=1e-3)
    steps = np.arange((1 << 16) + 1) / (1 << 16)
    distribution = scipy.stats.norm.cdf(values)
    apart = np.maximum(abs(distribution - steps[:-1]), abs(distribution - steps[1:])).max()
    assert apart < 1.1e-5
