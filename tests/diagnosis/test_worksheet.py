"""Labels that look wrong, as a table that a person fills in."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from diagnosis.planted_cases import split_sample

from fruitaudit.diagnosis.data_checks.labels import LabelCheck, check_labels
from fruitaudit.diagnosis.data_checks.worksheet import COLUMNS, write_worksheet
from fruitaudit.records.data import FloatArray
from fruitaudit.records.evaluation import Predictions

NAMES = ("=pear", "apple", "plum")
PER_CLASS = 14
TRUTH = np.repeat([0, 1, 2], PER_CLASS)
PIXELS = np.zeros((len(TRUTH), 8, 8, 3), np.uint8)


class Knowing:
    """A model that knows what every image shows, whatever its label says."""

    def probabilities(self, pixels: np.ndarray) -> FloatArray:
        return (0.05 + 0.85 * np.eye(3)[TRUTH]).astype(np.float32)


def features(turn: float = 0.0) -> FloatArray:
    """Each class in its own direction; images of a class `turn` apart from those of the other split."""
    angle = np.linspace(0, 0.1, PER_CLASS)
    tilt = np.stack([np.cos(angle + turn), np.sin(angle + turn)], axis=1)
    return np.einsum("ck,nd->cnkd", np.eye(3), tilt).reshape(len(TRUTH), -1).astype(np.float32)


def label_check(labels: np.ndarray, split: str = "test", *, train: bool = True) -> LabelCheck:
    sample = split_sample(PIXELS, labels, split)
    predictions = Predictions(split, "test", NAMES, sample.ids, labels, features()[:, :3], features()[:, :3])
    train_sample = split_sample(PIXELS, TRUTH, "train")
    return check_labels(Knowing(), sample, features(), predictions, (train_sample, features(0.01)) if train else None)


@pytest.fixture
def wrong() -> np.ndarray:
    labels = TRUTH.copy()
    labels[3], labels[20] = 1, 0
    return labels


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_wrong_label_has_a_row_with_its_nearest_training_image(wrong: np.ndarray, tmp_path: Path) -> None:
    path = write_worksheet(tmp_path, [label_check(wrong)])
    assert path == tmp_path / "labels_to_check.csv"
    rows = read(path)
    assert tuple(rows[0]) == COLUMNS
    assert sorted(row["sample_id"] for row in rows) == ["test/20", "test/3"]
    three = next(row for row in rows if row["path"] == "3")
    assert (three["split"], three["label"], three["predicted"]) == ("test", "apple", "'=pear")
    assert float(three["probability"]) == pytest.approx(0.9)
    assert (three["nearest_training_image"], three["nearest_label"]) == ("train/2", "'=pear"), "0.01 behind"
    step = 0.1 / (PER_CLASS - 1)
    assert float(three["nearest_distance"]) == pytest.approx(1 - np.cos(step - 0.01), abs=1e-4)
    assert {three[name] for name in COLUMNS[-3:]} == {""}, "these are the reviewer's"


def test_a_training_image_is_not_its_own_neighbour(wrong: np.ndarray, tmp_path: Path) -> None:
    rows = read(write_worksheet(tmp_path, [label_check(wrong, "train")]))
    assert all(row["nearest_training_image"] != row["sample_id"] for row in rows)


def test_without_a_reference_split_the_neighbour_stays_empty(wrong: np.ndarray, tmp_path: Path) -> None:
    rows = read(write_worksheet(tmp_path, [label_check(wrong, train=False)]))
    assert [row["nearest_training_image"] for row in rows] == ["", ""]


def test_where_no_label_looks_wrong_nothing_is_written(tmp_path: Path) -> None:
    check = label_check(TRUTH)
    assert write_worksheet(tmp_path, [check]) is None
    assert list(tmp_path.iterdir()) == []
    assert "labels_to_check" not in check.listing.sentence


def test_the_listing_names_the_file(wrong: np.ndarray) -> None:
    assert "All of them are in labels_to_check.csv" in label_check(wrong).listing.sentence


def test_the_share_of_doubtful_labels_counts_groups_where_there_are_any(wrong: np.ndarray) -> None:
    alone = label_check(wrong)
    name, share, others = alone.worst()
    assert (name, share.successes, share.n, others.successes, others.n) == ("=pear", 1, 14, 1, 28)
    pairs = dataclasses.replace(alone, groups=np.arange(len(wrong)) // 2).worst()[1]
    assert (pairs.value, pairs.n) == (share.value, share.n)
    assert pairs.n_groups == 8, "seven pairs of pears, and that of the apple which is labelled a pear"
    assert pairs.high > share.high
    few = dataclasses.replace(alone, groups=np.arange(len(wrong)) // 14).worst()[1]
    assert (few.low, few.high, few.no_interval.code) == (None, None, "too_few_groups")
