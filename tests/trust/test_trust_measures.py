"""Similarity, intervals, controls, stability, class discrimination, localization and the other plain measures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from trust.oracles import SHAPE, STREAMS, Oracle, chance, images, linear, lit, perfect, planted, predicted

from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Segments, Targets
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.statistics.small_samples import mean_over_images
from fruitaudit.trust.agreement import agreement
from fruitaudit.trust.changes import change, stability
from fruitaudit.trust.completeness import completeness
from fruitaudit.trust.control_comparison import compare_with_controls
from fruitaudit.trust.controls import CONTROLS, control_maps
from fruitaudit.trust.edges import edge_likeness
from fruitaudit.trust.localization import localization, pointing
from fruitaudit.trust.mosaics import grid_pointing, make_mosaics, share_inside
from fruitaudit.trust.neighbours import neighbours
from fruitaudit.trust.similarity import ranks_pixels, spearman, ssim

SMALL = (12, 8)


def maps(n=5, seed=0, size=SMALL):
    return np.random.default_rng(seed).normal(size=(n, *size)).astype(np.float32)


def test_spearman_is_scipys_with_ties() -> None:
    a, b = np.round(maps()), maps(seed=1)
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(spearman(a, b), expected, atol=1e-12)
    np.testing.assert_allclose(spearman(a, -a), -1, atol=1e-12)


@pytest.mark.parametrize("signed", [True, False])
def test_ssim_is_skimages(signed: bool) -> None:
    a, b = maps(), maps(seed=1)
    a, b = (a, b) if signed else (abs(a), abs(b))
    for i, score in enumerate(ssim(a, b)):
        x, y = (m[i].astype(np.float64) / abs(m[i]).max() for m in (a, b))
        expected = structural_similarity(x, y, data_range=2.0 if signed else 1.0, use_sample_covariance=False)
        assert score == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(ssim(a, 3 * a), 1, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 2.0])
def test_maps_that_rank_no_pixels_are_like_nothing(bad: float) -> None:
    a, b = maps(), maps(seed=1)
    a[2] = bad
    assert ranks_pixels(a).tolist() == [True, True, False, True, True]
    for score in (spearman, ssim):
        assert np.isnan(score(a, b)).tolist() == [False, False, True, False, False]
        assert np.isnan(score(a, a))[2]


@pytest.mark.parametrize("n", [2, 3, 5, 6, 8])
def test_an_interval_of_few_images_covers_as_often_as_it_says(n: int) -> None:
    """Of 8 normal images the plain percentile interval covers 88-90 % here; of 2, no resampling more than 50 %."""
    rng = np.random.default_rng(0)
    estimates = [mean_over_images(rng.normal(size=n), STREAMS) for _ in range(400)]
    covered = np.mean([q.low <= 0 <= q.high for q in estimates])
    assert 0.92 <= covered <= 0.98


def test_an_interval_ends_where_scores_end() -> None:
    estimate = mean_over_images(np.array([0.9, 1.0]), STREAMS, within=(-1, 1))
    assert (estimate.low, estimate.high) == (pytest.approx(0.3147, abs=1e-4), 1)


def test_a_mean_counts_what_is_undefined_and_is_not_given_when_most_is() -> None:
    estimate = mean_over_images(np.array([1.0, 2.0, np.nan, 4.0]), STREAMS)
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.n) == (pytest.approx(7 / 3), 3)
    assert "undefined on 1 of 4" in estimate.note
    assert isinstance(mean_over_images(np.array([1.0, np.nan, np.nan]), STREAMS), NotRun)
    assert isinstance(mean_over_images(np.array([]), STREAMS), NotRun)
    same = mean_over_images(np.ones(5), STREAMS)
    assert isinstance(same, Estimate)
    assert same.low is None


def test_gains_are_paired_and_positive_when_better() -> None:
    scores = np.array([0.1, 0.5, 0.9, 0.4])
    lower = compare_with_controls(scores, {"x": scores + 0.2}, STREAMS, higher_is_better=False)
    higher = compare_with_controls(scores, {"x": scores + 0.2}, STREAMS)
    assert lower.gains["x"].value == pytest.approx(0.2)
    assert higher.gains["x"].value == pytest.approx(-0.2)


def test_controls_know_nothing_of_the_model_and_tell_pixels_apart() -> None:
    photos = images(4)
    controls = control_maps(photos, STREAMS)
    assert tuple(controls) == CONTROLS
    for control in controls.values():
        assert control.shape == (4, *SHAPE[:2])
        assert control.dtype == np.float32
        assert ranks_pixels(control).all()
    swapped = control_maps(photos.select(np.array([2, 0])), STREAMS)
    for name, control in controls.items():
        np.testing.assert_array_equal(swapped[name], control[[2, 0]])
    assert controls["centre"][0].argmax() == np.ravel_multi_index((9, 7), SHAPE[:2])


def test_edges_are_those_of_a_step() -> None:
    values = np.zeros((1, 8, 8, 1), np.float32)
    values[:, :, 4:] = 1
    edges = control_maps(Images(values, ("a",), np.zeros(1, "f4"), np.ones(1, "f4")), STREAMS)["edges"][0]
    assert (edges[:, 3:5] > 0).all()
    assert (edges[:, :3] == 0).all()
    assert (edges[:, 5:] == 0).all()


# --- stability


def test_noise_is_on_every_channel_of_the_strength_asked_and_in_range() -> None:
    model, photos = linear(), images(30)
    noisy = change(model, photos, "noise", 0.02, STREAMS).images.values
    moved = noisy - photos.values
    inside = (photos.values > 0.1) & (photos.values < 0.9)
    assert np.std(moved[inside]) == pytest.approx(0.02, rel=0.03)
    assert (abs(moved).max(axis=(0, 1, 2)) > 0.02).all()
    assert noisy.min() >= 0
    assert noisy.max() <= 1


def test_a_shift_moves_one_pixel_and_jpeg_keeps_the_order_of_the_channels() -> None:
    model, photos = linear(), images(3)
    shifted = change(model, photos, "shift", 1, STREAMS).images.values
    np.testing.assert_array_equal(shifted[:, 1:, 1:], photos.values[:, :-1, :-1])
    pressed = change(model, photos, "jpeg", 90, STREAMS).images.values
    assert abs(pressed - photos.values).max() > 0.01
    red = Images(np.full_like(photos.values, [0.9, 0.2, 0.1]), photos.sample_ids, photos.low, photos.high)
    np.testing.assert_allclose(change(model, red, "jpeg", 90, STREAMS).images.values, red.values, atol=0.02)
    grey = Images(photos.values[..., :1], photos.sample_ids, photos.low[:1], photos.high[:1])
    assert change(Oracle(np.zeros((2, *SHAPE[:2], 1))), grey, "jpeg", 90, STREAMS).images.values.shape[-1] == 1


def test_only_images_with_the_same_prediction_count() -> None:
    model, photos = linear(), images(40)
    near = photos.values.mean()
    dull = Images((near + 0.02 * (photos.values - near)).astype("f4"), photos.sample_ids, photos.low, photos.high)
    changed = change(model, dull, "noise", 0.2, STREAMS)
    flipped = model.logits(changed.images.values).argmax(1) != model.logits(dull.values).argmax(1)
    assert flipped.any()
    np.testing.assert_array_equal(changed.same_prediction, ~flipped)


def test_stability_of_the_right_map_is_high_and_of_new_noise_zero() -> None:
    model, photos = linear(), images(20)
    targets = predicted(model, photos)
    for kind, strength in (("noise", 0.02), ("jpeg", 90)):
        changed = change(model, photos, kind, strength, STREAMS)
        right = stability(
            photos, changed, perfect(model, photos, targets), perfect(model, changed.images, targets), STREAMS
        )
        wrong = stability(photos, changed, chance(photos, 1), chance(photos, 2), STREAMS)
        assert right.spearman.value > 0.9
        assert right.relative_change.value < 3
        assert abs(wrong.spearman.value) < 0.05
        assert wrong.relative_change.value > 5
        for nothing in (np.full_like(chance(photos), np.nan), np.zeros_like(chance(photos))):
            lost = stability(photos, changed, chance(photos, 1), nothing, STREAMS)
            assert isinstance(lost.relative_change, NotRun)
            assert isinstance(lost.spearman, NotRun)


def test_the_relative_change_of_a_map_that_is_the_image_is_one() -> None:
    model, photos = linear(), images(6)
    grey = lambda i: i.values.mean(axis=-1)  # noqa: E731
    grey_images = Images(np.repeat(grey(photos)[..., None], 3, axis=-1), photos.sample_ids, photos.low, photos.high)
    changed = change(model, grey_images, "noise", 0.02, STREAMS)
    changed.images.values[:] = changed.images.values.mean(axis=-1, keepdims=True)
    row = stability(grey_images, changed, grey(grey_images), grey(changed.images), STREAMS)
    assert row.relative_change.value == pytest.approx(1, abs=1e-4)


def test_a_shifted_map_is_compared_where_it_came_from() -> None:
    model, photos = linear(), images(5)
    changed = change(model, photos, "shift", 1, STREAMS)
    before = maps(5, size=SHAPE[:2])
    after = np.zeros_like(before)
    after[:, 1:, 1:] = before[:, :-1, :-1]
    assert stability(photos, changed, before, after, STREAMS).spearman.value == pytest.approx(1)
    assert stability(photos, changed, before, before, STREAMS).spearman.value < 0.2
    assert isinstance(stability(photos, changed, before, np.full_like(before, np.nan), STREAMS).spearman, NotRun)


# --- the rest


CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
"""White, red, green and blue, seen from grey: each speaks against the three others."""


def colours():
    """Four classes: how white, red, green or blue the image is, anywhere."""
    return Oracle(np.broadcast_to(0.02 * CORNERS[:, None, None], (4, *SHAPE)))


def coloured(n=16):
    rng = np.random.default_rng(1)
    values = 0.5 + 0.35 * CORNERS[np.arange(n) % 4][:, None, None] + rng.normal(0, 0.05, (n, *SHAPE))
    return Images(values.astype(np.float32), tuple(f"c/{i}" for i in range(n)), np.zeros(3, "f4"), np.ones(3, "f4"))


def test_the_grid_pointing_game_is_won_by_the_right_map() -> None:
    model, photos = colours(), coloured()
    mosaics = make_mosaics(model, photos, predicted(model, photos).classes, STREAMS, n=6)
    assert mosaics is not None
    assert mosaics.n_pairs == 24
    assert len(mosaics.images) >= 20
    right = perfect(model, mosaics.images, mosaics.targets)
    assert grid_pointing(mosaics, right).mean() > 0.9
    assert grid_pointing(mosaics, -right).mean() < 0.25
    assert grid_pointing(mosaics, chance(mosaics.images)).mean() == pytest.approx(0.25, abs=0.02)
    assert grid_pointing(mosaics, control_maps(mosaics.images, STREAMS)["centre"]).mean() == pytest.approx(
        0.25, abs=0.01
    )


def test_mosaics_need_four_classes_and_a_model_that_sees_them() -> None:
    photos = coloured()
    assert make_mosaics(colours(), photos, np.zeros(16, np.int64), STREAMS, n=4) is None
    blind = Oracle(np.zeros((4, *SHAPE)))
    assert make_mosaics(blind, photos, np.arange(16) % 4, STREAMS, n=4) is None


def test_localization_of_the_right_map_its_inverse_and_chance() -> None:
    model, mask = planted()
    photos = lit(mask, n=30)
    targets = Targets(np.zeros(30, np.int64))
    masks = np.repeat(mask[None], 30, axis=0)
    names = ["apple"] * 10 + ["pear"] * 20
    right = perfect(model, photos, targets)

    def run(values):
        return localization(values, control_maps(photos, STREAMS), masks, names, STREAMS)

    best, worst, noise = run(right), run(mask * -1.0 + abs(chance(photos)) * ~mask), run(abs(chance(photos)))
    assert best.inside.own.value == pytest.approx(1)
    assert best.pointing.own.value == 1
    assert best.background["pear"].value == pytest.approx(0, abs=1e-6)
    assert best.background_share["pear"].value == pytest.approx(1 - mask.mean())
    assert worst.inside.own.value == 0
    assert worst.pointing.own.value == 0
    assert noise.inside.own.value == pytest.approx(mask.mean(), abs=0.02)
    assert best.object_share.value == pytest.approx(mask.mean())
    assert isinstance(run(np.full_like(right, np.nan)), NotRun)
    assert isinstance(localization(right, {}, np.zeros_like(masks), names, STREAMS), NotRun)


def test_a_map_against_the_class_points_nowhere_and_ties_share_the_point() -> None:
    mask = np.zeros((1, 2, 2), bool)
    mask[0, 0] = True
    assert np.isnan(share_inside(np.array([[[-1.0, -2.0], [-3.0, -4.0]]], "f4"), mask)[0])
    assert pointing(np.array([[[5.0, 1.0], [5.0, 0.0]]], "f4"), mask)[0] == 0.5


def test_completeness_is_relative_and_only_where_it_is_promised() -> None:
    values = maps(3)
    total = values.sum(axis=(1, 2), dtype=np.float64)

    def error(map_values, **diagnostics):
        return completeness(Maps(map_values, {name: np.asarray(v) for name, v in diagnostics.items()}))

    np.testing.assert_allclose(error(values, score_difference=total), 0, atol=1e-6)
    np.testing.assert_allclose(error(values, score_difference=total / 1.1), 0.1, atol=1e-5)
    np.testing.assert_allclose(error(values, score=total + 2, kept_inside=np.full(3, 2.0)), 0, atol=1e-6)
    assert np.isnan(error(values, score_difference=np.zeros(3))).all()
    assert np.isnan(error(np.full_like(values, np.nan), score_difference=total)).all()
    assert error(values, r2=total) is None


def test_superpixels_share_out_their_coefficients_and_not_their_pixels() -> None:
    labels = np.zeros((1, 4, 4), np.int32)
    labels[0, 2:] = 1
    segments = Segments(labels, np.array([[0.5, 0.25, np.nan]], "f4"), {"score_difference": np.array([0.75], "f4")})
    np.testing.assert_allclose(completeness(segments), 0, atol=1e-6)


def test_like_images_have_like_maps_when_maps_follow_the_features() -> None:
    rng = np.random.default_rng(2)
    kinds = np.repeat(np.eye(4), 3, axis=0)
    features = (kinds + rng.normal(0, 0.05, kinds.shape)).astype("f4")
    kind_maps = rng.normal(size=(4, *SMALL))
    consistent = kind_maps[kinds.argmax(1)] + rng.normal(0, 0.1, (12, *SMALL))
    assert neighbours(features, consistent.astype("f4")).mean() > 0.5
    # Maps like those of every other kind, and unlike those of their own.
    assert abs(np.nanmean([neighbours(features, maps(12, seed=s)).mean() for s in range(10)])) < 0.05
    assert np.isnan(neighbours(features[:3], maps(3))).all()
    assert np.isnan(neighbours(features, np.zeros((12, *SMALL), "f4"))).all()


def test_an_edge_detector_is_found_out() -> None:
    photos = images(8)
    edges = control_maps(photos, STREAMS)["edges"]
    detector = edge_likeness(edges, edges * 2, edges, STREAMS)
    assert detector.trained.value == pytest.approx(1)
    assert detector.difference.value == pytest.approx(0)
    noise = edge_likeness(edges, chance(photos), NotRun("no copy", "not_computed"), STREAMS)
    assert abs(noise.trained.value) < 0.1
    assert isinstance(noise.difference, NotRun)


def test_agreement_is_symmetric_and_takes_the_images_both_have() -> None:
    a = maps(6)
    result = agreement({"a": a, "b": -a[:3], "c": maps(6, seed=9), "d": np.zeros_like(a)}, STREAMS)
    table = result.spearman
    assert table[0][1].value == pytest.approx(1)
    assert table[0][1].n == 3
    assert abs(table[0][2].value) < 0.2
    assert table[1][2].value == pytest.approx(table[2][1].value)
    assert isinstance(table[0][3], NotRun)
