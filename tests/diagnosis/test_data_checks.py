from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from diagnosis.planted_cases import SIDE, discs, masked_split, split_sample

from fruitaudit.diagnosis.data_checks.duplicates import Fingerprints, calibrate, near_pairs
from fruitaudit.diagnosis.data_checks.integrity import check_data
from fruitaudit.diagnosis.data_checks.labels import neighbour_votes
from fruitaudit.diagnosis.data_checks.shift import hedges_g, properties
from fruitaudit.diagnosis.factors.noise import noise_of
from fruitaudit.diagnosis.images.sharpness import blur_metric
from fruitaudit.records.data_checks import DataCheck
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate, NotRun

PIXELS, LABELS = discs()
SPOTTED, _ = discs(texture=400, coarse=3)
OTHERS, _ = discs(seed=7, texture=400, coarse=3)


def predictions(labels: np.ndarray, split: str = "test") -> Predictions:
    probabilities = np.eye(4, dtype=np.float32)[labels]
    ids = tuple(f"{split}/{i}" for i in range(len(labels)))
    return Predictions(split, "test", ("a", "b", "c", "d"), ids, labels, probabilities, probabilities)


def fingerprints(pixels: np.ndarray, split: str) -> Fingerprints:
    return Fingerprints.of(split_sample(pixels, LABELS, split))


def test_exact_and_near_repetitions_are_found_and_other_specimens_are_not() -> None:
    repeated = OTHERS.copy()
    repeated[0] = SPOTTED[3]
    data = cv2.imencode(".jpg", SPOTTED[4], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    repeated[1] = cv2.imdecode(data, cv2.IMREAD_COLOR)
    one, other = fingerprints(repeated, "test"), fingerprints(SPOTTED, "train")
    pairs = near_pairs(one, other, calibrate([other, one]))
    assert pairs.first.tolist() == [0, 1]
    assert pairs.second.tolist() == [3, 4]
    assert pairs.exact.tolist() == [True, False]


def test_within_a_split_each_pair_is_told_once() -> None:
    repeated = np.concatenate([SPOTTED[:-1], SPOTTED[:1]])
    split = fingerprints(repeated, "test")
    pairs = near_pairs(split, split, calibrate([split]))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [len(repeated) - 1])


def test_equal_pixels_are_counted_over_all_images_and_near_ones_of_a_draw_are_a_lower_bound() -> None:
    """200 images, of which 40 repeat another: 25 of them are drawn, and among those is a near pair."""
    drawn = split_sample(SPOTTED[:25], LABELS[:25], "train")
    data = cv2.imencode(".jpg", SPOTTED[4], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    drawn.pixels[5] = cv2.imdecode(data, cv2.IMREAD_COLOR)
    drawn = replace(drawn, population=200)
    digests = tuple(f"digest {i if i < 160 else i - 160}" for i in range(200))
    whole = replace(predictions(np.zeros(200, np.int64), "train"), pixel_digests=digests)
    [check] = [row for row in check_data([], {"train": drawn}, {"train": whole}) if row.name == "duplicates"]
    assert isinstance(check, DataCheck)
    assert (check.exact, check.total, check.n, check.lower_bound) == (40, 41, 200, True)
    assert check.sentence.startswith(
        "At least 41 of 200 images of train have a repetition within it (40 exactly, of all "
    )
    assert "images; 1 nearly" in check.sentence
    assert "of 25 of 200 images of train" in check.sentence
    assert check.rows[0] == ("train/160", "train/0", "exact", "0.0")
    assert check.rows[-1][:3] == ("train/4", "train/5", "near")


def test_what_repeats_another_split_is_counted_over_all_images() -> None:
    one, other = (split_sample(p, LABELS, name) for p, name in ((SPOTTED, "train"), (OTHERS, "test")))
    n = len(LABELS)
    train = replace(predictions(LABELS, "train"), pixel_digests=tuple(f"a{i}" for i in range(n)))
    test = replace(predictions(LABELS), pixel_digests=tuple(f"{'a' if i % 5 == 0 else 'b'}{i}" for i in range(n)))
    checks = check_data([], {"train": one, "test": other}, {"train": train, "test": test})
    across = next(row for row in checks if row.name == "duplicates across")
    assert isinstance(across, DataCheck)
    assert (across.split, across.other, across.exact, across.lower_bound) == ("test", "train", -(-n // 5), False)


def test_classes_alike_by_nature_tighten_the_threshold() -> None:
    """Every image has a near twin of another class: nearness means nothing here."""
    twins = np.clip(PIXELS.astype(int) + 1, 0, 255).astype(np.uint8)
    loose = calibrate([fingerprints(PIXELS, "train")]).thumb
    mixed = split_sample(np.concatenate([PIXELS, twins]), np.concatenate([LABELS, (LABELS + 1) % 4]), "train")
    assert calibrate([Fingerprints.of(mixed)]).thumb < 0.5 * loose


def test_odd_files_starved_classes_and_small_splits_are_listed() -> None:
    pixels = PIXELS.copy()
    pixels[0], pixels[1] = pixels[0] // 16, 128
    pixels[2] = cv2.GaussianBlur(pixels[2], (0, 0), 6)
    labels = np.repeat([0, 1, 2, 3], [13, 13, 12, 2])
    checks = {
        row.name: row for row in check_data([], {"test": split_sample(pixels, labels)}, {"test": predictions(labels)})
    }
    odd = checks["odd files"]
    assert isinstance(odd, DataCheck)
    assert {row[0]: row[1] for row in odd.rows} == {"test/0": "dark", "test/1": "flat", "test/2": "blurred"}
    starved = checks["starved classes"]
    assert isinstance(starved, DataCheck)
    assert starved.rows == (("d", "2", "100 %"),)
    small = checks["split size"]
    assert isinstance(small, DataCheck)
    assert small.rows == (("d", "2"),)


def test_neighbours_vote_without_the_image_itself() -> None:
    features = np.repeat(np.eye(3, dtype=np.float32), 12, axis=0)
    labels = np.repeat([0, 1, 2], 12)
    labels[0] = 1
    votes = neighbour_votes(features, labels, 3)
    assert votes[0].tolist() == pytest.approx([1, 0, 0])
    assert votes.sum(axis=1) == pytest.approx(1)


def test_hedges_g_by_hand() -> None:
    """Means 2 and 4, both deviations 1, n = 3 each: d = 2, J = 1 - 3 / 15 = 0.8."""
    effect = hedges_g(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0]))
    assert isinstance(effect, Estimate)
    assert effect.value == pytest.approx(1.6)
    assert effect.high - effect.low == pytest.approx(2 * 1.96 * np.sqrt(6 / 9 + 1.6**2 / 12))
    assert isinstance(hedges_g(np.ones(5), np.full(5, 2.0)), NotRun)


def test_properties_know_a_dim_warm_photo() -> None:
    plain = properties(masked_split(PIXELS, LABELS))
    dim = properties(masked_split((PIXELS * np.array([0.6, 0.5, 0.3])).astype(np.uint8), LABELS))
    assert dim["brightness"].mean() < 0.6 * plain["brightness"].mean()
    assert dim["warmth"].mean() > plain["warmth"].mean() + 10
    assert plain["object share"].mean() == pytest.approx(np.pi * 14**2 / SIDE**2, rel=0.1)


def test_blur_and_noise_measures_rise_with_what_they_measure() -> None:
    image, everywhere = PIXELS[0].astype(np.float32), np.ones((SIDE, SIDE), bool)
    metrics = [blur_metric(cv2.GaussianBlur(image, (0, 0), s), everywhere) for s in (0.3, 1.0, 2.0, 4.0)]
    assert metrics == sorted(metrics)
    rng = np.random.default_rng(0)
    grey = np.full((SIDE, SIDE, 3), 128.0)
    grain = rng.normal(0, 8, (SIDE, SIDE, 1))
    assert noise_of(np.clip(grey + grain, 0, 255).astype(np.uint8)) == pytest.approx(8, rel=0.25)
    assert noise_of(grey.astype(np.uint8)) == 0
