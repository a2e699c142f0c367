"""What is known of a split once its images were read."""

from __future__ import annotations

from dataclasses import replace

from evaluation_cases import called

from fruitaudit.audit.prediction import label_conflicts
from fruitaudit.records.data import LabelConflict


def test_equal_pictures_under_two_classes_are_conflicts() -> None:
    predictions = called([0, 1, 0, 0, 2, 1], [0] * 6, 3)
    assert list(label_conflicts(replace(predictions, pixel_digests=None))) == []
    ids, names = predictions.sample_ids, predictions.class_names
    found = list(label_conflicts(replace(predictions, pixel_digests=("x", "x", "y", "y", "z", "x"))))
    assert found == [LabelConflict((ids[0], ids[1], ids[5]), (names[0], names[1], names[1]))]
