import numpy as np
import pytest
from analytic_models import AdditiveInSegments, SmallCnn, some_images
from lime.lime_image import LimeImageExplainer

from fruitaudit.attribution.methods.lime import Lime
from fruitaudit.attribution.superpixels import superpixel_means
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


def explained(model, images, **options):
    return Lime(**options)(model, images, Targets(np.zeros(len(images), np.int64)), Streams(3))


def nearness(shown):
    """The root of the paper's kernel, which the package takes; the distance is that of cosines, 1 to nothing shown."""
    count, n = shown.sum(axis=1), shown.shape[1]
    return np.sqrt(np.exp(-((1 - count / np.sqrt(np.maximum(count, 1) * n)) ** 2) / 0.25**2))


def ridge(shown, near, scores, alpha):
    """The effects and the intercept of eq. 1 in closed form; the intercept is not shrunk."""
    terms = np.column_stack([np.ones(len(shown)), shown])
    shrunk = alpha * np.diag([0.0] + [1.0] * shown.shape[1])
    solved = np.linalg.solve(terms.T @ (near[:, None] * terms) + shrunk, terms.T @ (near * scores))
    return solved[1:], solved[0]


@pytest.mark.parametrize("segmentation", ["quickshift", "slic"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fewer", [False, True])
def test_is_the_ridge_regression_of_eq_1_and_exact_but_for_its_shrinking(segmentation, channels, fewer):
    images = some_images((40, 40, channels), n=1)
    segments = explained(SmallCnn((40, 40, channels)), images, segmentation=segmentation, samples=10).segments[0]
    n = int(segments.max()) + 1
    assert n >= 8
    effects = np.random.default_rng(0).permutation(np.linspace(-0.4, 0.5, n)) / n * 2
    model = AdditiveInSegments(segments, effects, channels)
    features = 7 if fewer else n
    explanation = explained(model, images, segmentation=segmentation, hide="black", samples=400, features=features)
    np.testing.assert_array_equal(explanation.segments[0], segments)

    seed = Streams(3).integer("lime", "sampling", images.sample_ids[0], bits=32)
    visible = np.random.RandomState(seed).randint(0, 2, (400, n))
    visible[0] = 1
    scores = np.array([model.probabilities(images.values * z[segments][None, ..., None].astype(np.float32))[0, 0]
                       for z in visible], float)  # fmt: skip
    near = nearness(visible)
    chosen = np.argsort(-abs(ridge(visible, near, scores, 0.01)[0]))[:features]
    coefficients, intercept = ridge(visible[:, chosen], near, scores, 1.0)
    expected = np.zeros(n)
    expected[chosen] = coefficients
    np.testing.assert_allclose(explanation.coefficients[0], expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert explanation.diagnostics["intercept"][0] == pytest.approx(intercept, rel=1e-5)
    if not fewer:
        exact, nothing_shown = ridge(visible, near, scores, 0.0)
        np.testing.assert_allclose(exact, effects, rtol=0, atol=1e-5 * abs(effects).max())
        assert nothing_shown == pytest.approx(0.5, rel=1e-5)
        assert explanation.diagnostics["r2"][0] > 0.95


def test_only_the_chosen_features_have_coefficients():
    images = some_images((40, 40, 3), n=2)
    explanation = explained(SmallCnn((40, 40, 3)), images, features=4, samples=200)
    assert (np.nan_to_num(explanation.coefficients) != 0).sum(axis=1).tolist() == [4, 4]
    for i in range(2):
        n = int(explanation.diagnostics["superpixels"][i])
        assert explanation.segments[i].max() + 1 == n
        assert np.isfinite(explanation.coefficients[i, :n]).all()
        assert np.isnan(explanation.coefficients[i, n:]).all()


@pytest.mark.parametrize(("hide", "colour"), [("mean", None), ("black", 0), ("grey", 0.5)])
def test_equals_the_package_draw_for_draw(hide, colour):
    """Its own loop over single images, with the same seed and superpixels: the same coefficients, score, intercept."""
    model, images = SmallCnn((40, 40, 3), scale=2), some_images((40, 40, 3), n=1)
    explanation = explained(model, images, hide=hide, samples=120)
    seed = Streams(3).integer("lime", "sampling", images.sample_ids[0], bits=32)
    theirs = LimeImageExplainer(random_state=seed).explain_instance(
        images.values[0], model.probabilities, labels=(0,), top_labels=None, num_features=10, num_samples=120,
        hide_color=colour, segmentation_fn=lambda _: explanation.segments[0], random_seed=seed, batch_size=33,
    )  # fmt: skip
    for superpixel, weight in theirs.local_exp[0]:
        assert explanation.coefficients[0, superpixel] == pytest.approx(weight, rel=1e-4, abs=1e-7)
    assert explanation.diagnostics["r2"][0] == pytest.approx(theirs.score, rel=1e-4)
    assert explanation.diagnostics["intercept"][0] == pytest.approx(theirs.intercept[0], rel=1e-4)


def test_superpixels_do_not_depend_on_the_input_range():
    """Segmented as they are, 0..255 values would fall into many more superpixels."""
    default, bytes_ = (explained(SmallCnn((40, 40, 3)), some_images((40, 40, 3), n=3, high=high), samples=10)
                     for high in (1, 255))  # fmt: skip
    np.testing.assert_array_equal(default.segments, bytes_.segments)


def test_small_images_get_a_kernel_that_can_tell_parts_apart():
    images = some_images((28, 28, 1), n=4)
    model = SmallCnn((28, 28, 1))
    assert explained(model, images, samples=10).diagnostics["superpixels"].min() >= 4
    plain = explained(model, images, samples=10, kernel=4.0)
    assert plain.diagnostics["superpixels"].min() == 1
    assert "one superpixel" in plain.notes[0]


def test_hidden_superpixels_show_their_own_mean():
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    labels = np.array([[0, 0, 1], [0, 1, 1]], np.int32)
    means = superpixel_means(values, labels)
    assert means[0, 0].tolist() == values[labels == 0].mean(axis=0).tolist()
    assert means[1, 2].tolist() == values[labels == 1].mean(axis=0).tolist()
