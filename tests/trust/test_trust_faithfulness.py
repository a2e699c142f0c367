"""Deletion, insertion, ROAD and mu-fidelity: the right map wins, its inverse loses, noise is at chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from trust.oracles import SHAPE, STREAMS, Oracle, chance, images, linear, lit, perfect, planted, predicted

from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import NotRun
from fruitaudit.trust.control_comparison import compare_with_controls
from fruitaudit.trust.controls import control_maps
from fruitaudit.trust.deletion import STEPS, along, deletion, insertion
from fruitaudit.trust.mu_fidelity import SUBSETS, mu_fidelity, subset_effects
from fruitaudit.trust.ordering import places
from fruitaudit.trust.road import NEIGHBOURS, SHARES, fill, impute, road

NOISE = 40
"""Maps of noise, whose mean score is what chance gives."""


def _mu(model, photos, targets, maps, streams):
    return mu_fidelity(subset_effects(model, photos, targets, streams), maps, "logit")


SCORES = {
    "deletion": lambda *a: -deletion(*a),
    "insertion": insertion,
    "road": road,
    "mu_fidelity": _mu,
}


def _case(name):
    if name == "linear":
        model, photos = linear(), images()
        return model, photos, predicted(model, photos)
    model, mask = planted()
    photos = lit(mask)
    return model, photos, Targets(np.zeros(len(photos), np.int64))


@pytest.mark.parametrize("case", ["linear", "planted"])
@pytest.mark.parametrize("test", SCORES)
def test_the_right_map_is_best_its_inverse_worst_and_noise_between(test: str, case: str) -> None:
    model, photos, targets = _case(case)
    right = perfect(model, photos, targets)

    def mean(maps):
        scores = SCORES[test](model, photos, targets, maps, STREAMS)
        assert np.isfinite(scores).all()
        return scores.mean()

    best, worst = mean(right), mean(-right)
    noise = [mean(chance(photos, seed)) for seed in range(6)]
    controls = [mean(control) for control in control_maps(photos, STREAMS).values()]
    assert worst < min(noise) - 0.02
    assert max(noise) + 0.02 < best
    assert max(controls) < best
    assert worst < min(controls)


def test_noise_is_at_zero_where_zero_is_chance() -> None:
    model, photos, targets = _case("linear")
    effects = subset_effects(model, photos, targets, STREAMS)
    mu = np.mean([mu_fidelity(effects, chance(photos, s), "logit") for s in range(NOISE)])
    assert abs(mu) < 0.02
    removed = [road(model, photos, targets, chance(photos, s), STREAMS).mean() for s in range(8)]
    assert abs(np.mean(removed)) < 3 * np.std(removed, ddof=1) / np.sqrt(8)
    np.testing.assert_allclose(
        road(model, photos, targets, -chance(photos), STREAMS),
        -road(model, photos, targets, chance(photos), STREAMS),
        atol=1e-5,
    )


def test_mu_fidelity_of_a_linear_model_is_exactly_one() -> None:
    model, photos = linear(), images()
    targets = predicted(model, photos)
    right = perfect(model, photos, targets)
    np.testing.assert_allclose(_mu(model, photos, targets, right, STREAMS), 1, atol=1e-5)
    np.testing.assert_allclose(_mu(model, photos, targets, -right, STREAMS), -1, atol=1e-5)


def test_mu_fidelity_hides_whole_pixels_and_drops_what_they_gave() -> None:
    model, photos = linear(), images(2)
    targets = predicted(model, photos)
    effects = subset_effects(model, photos, targets, STREAMS)
    right = perfect(model, photos, targets)
    hidden = effects.hidden[1, 7][effects.cell]
    assert effects.hidden.shape[:2] == (2, SUBSETS)
    assert 0.15 < hidden.mean() < 0.25
    assert effects.drops["logit"][1, 7] == pytest.approx(right[1][hidden].sum(), abs=1e-5)


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("test", SCORES)
def test_the_right_map_of_a_model_that_sees_one_colour_is_best(test: str, channel: int) -> None:
    """A known fault of others: only one colour channel is perturbed, and such a model notices nothing."""
    w = np.zeros((2, *SHAPE))
    w[0, ..., channel] = linear().w[0, ..., channel]
    model, photos = Oracle(w), images(6)
    targets = Targets(np.zeros(6, np.int64))
    right = perfect(model, photos, targets)
    best, noise, worst = (
        SCORES[test](model, photos, targets, m, STREAMS).mean() for m in (right, chance(photos), -right)
    )
    assert worst + 0.02 < noise < best - 0.02


def test_deletion_ends_at_grey_and_changes_all_colour_channels() -> None:
    w = np.zeros((2, *SHAPE))
    w[0, ..., 2] = np.random.default_rng(1).normal(0, 0.3, SHAPE[:2])  # only the last channel counts
    model, photos = Oracle(w), images(3)
    targets = Targets(np.zeros(3, np.int64))
    right = perfect(model, photos, targets)
    grey = np.full_like(photos.values, 0.5)
    curves = along(model, photos.values, grey, targets.classes, places(right, photos, STREAMS))
    np.testing.assert_allclose(curves[:, 0], model.probabilities(photos.values)[:, 0], atol=1e-6)
    np.testing.assert_allclose(curves[:, -1], model.probabilities(grey)[:, 0], atol=1e-6)
    assert (np.abs(np.diff(curves)).max(axis=1) > 1e-3).all()


def test_deletion_is_the_area_that_a_slow_replica_finds() -> None:
    model, photos = linear(), images(2)
    targets, maps = predicted(model, photos), chance(images(2))
    for i in range(2):
        order = np.argsort(-maps[i].ravel())
        values, image = [], photos.values[i].copy()
        for step in range(STEPS + 1):
            n = round(step * len(order) / STEPS)
            image.reshape(-1, 3)[order[:n]] = 0.5
            values.append(model.probabilities(image[None])[0, targets.classes[i]])
        area = sum((a + b) / 2 for a, b in itertools.pairwise(values)) / STEPS
        assert deletion(model, photos, targets, maps, STREAMS)[i] == pytest.approx(area, abs=1e-6)


def test_imputation_solves_the_mean_of_the_neighbours() -> None:
    """Slow replica of eq. 4 of the paper: every removed pixel equals the weighted mean of what surrounds it."""
    rng = np.random.default_rng(3)
    image, hole = rng.random((9, 7, 3)).astype("f4"), rng.random((9, 7)) < 0.6
    filled = impute(image, hole)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    for y, x in zip(*np.nonzero(hole), strict=True):
        around = [(w, filled[y + dy, x + dx]) for dy, dx, w in NEIGHBOURS if 0 <= y + dy < 9 and 0 <= x + dx < 7]
        mean = sum(w * colour for w, colour in around) / sum(w for w, _ in around)
        np.testing.assert_allclose(filled[y, x], mean, atol=1e-5)
    assert sum(w for _, _, w in NEIGHBOURS) == pytest.approx(1)


@pytest.mark.parametrize("shape", [(224, 224), (150, 170)])
def test_large_images_are_filled_as_smoothly_in_blocks(shape: tuple[int, int]) -> None:
    y, x = np.indices(shape) / max(shape)
    ramp = np.stack([x, y], axis=-1).astype("f4")
    hole = (x - 0.4) ** 2 + (y - 0.4) ** 2 < 0.04
    filled = fill(ramp, hole)
    np.testing.assert_array_equal(filled[~hole], ramp[~hole])
    np.testing.assert_allclose(filled[hole], ramp[hole], atol=0.02)
    small = fill(ramp[:100, :100], hole[:100, :100])
    np.testing.assert_array_equal(small, impute(ramp[:100, :100], hole[:100, :100]))
    dots = np.random.default_rng(0).random(shape) < 0.5
    np.testing.assert_allclose(fill(ramp, dots)[dots], ramp[dots], atol=0.02)


def test_road_does_not_reward_the_shape_of_the_hole() -> None:
    """A model that ignores the image is not moved by what is taken away, whatever the map."""
    model, photos = Oracle(np.zeros((2, *SHAPE))), images(4)
    scores = road(model, photos, Targets(np.zeros(4, np.int64)), chance(photos), STREAMS)
    np.testing.assert_allclose(scores, 0, atol=1e-6)
    assert len(SHARES) == 3


@pytest.mark.parametrize("test", SCORES)
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_constant_and_nan_maps_have_no_score(test: str, value: float) -> None:
    model, photos, targets = _case("linear")
    right = perfect(model, photos, targets)
    right[0] = value
    scores = SCORES[test](model, photos, targets, right, STREAMS)
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1:]).all()
    nothing = np.full_like(right, value)
    assert isinstance(
        compare_with_controls(SCORES[test](model, photos, targets, nothing, STREAMS), {}, STREAMS), NotRun
    )


@pytest.mark.parametrize("test", SCORES)
def test_neither_order_nor_batch_size_matters(test: str) -> None:
    model, photos, targets = _case("linear")
    maps = np.round(chance(photos))  # many ties
    forward = SCORES[test](model, photos, targets, maps, STREAMS)
    back = np.arange(len(photos))[::-1].copy()
    model.batch_size = 7
    again = SCORES[test](model, photos.select(back), Targets(targets.classes[back]), maps[back], STREAMS)
    np.testing.assert_allclose(again[::-1], forward, atol=1e-6)


def test_ties_are_not_broken_by_position() -> None:
    photos = images(1)
    order = places(np.zeros((1, *SHAPE[:2]), np.float32), photos, STREAMS)
    assert sorted(order.ravel()) == list(range(order.size))
    assert abs(np.corrcoef(order.ravel(), np.arange(order.size))[0, 1]) < 0.2
