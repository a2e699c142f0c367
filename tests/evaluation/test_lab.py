"""Which split the field is compared with."""

from __future__ import annotations

import pytest

from fruitaudit.evaluation.lab import Size, lab_split

TRAIN: Size = ("train", "reference", 500)
SMALL: Size = ("a", "test", 10)
LARGE: Size = ("b", "test", 90)
NAMED: Size = ("test", "test", 20)
STORE: Size = ("store", "field", 900)


@pytest.mark.parametrize(
    ("splits", "asked", "lab"),
    [
        ([STORE, TRAIN, SMALL, LARGE, NAMED], None, "test"),
        ([STORE, TRAIN, SMALL, LARGE], None, "b"),
        ([TRAIN, SMALL, ("c", "test", 10)], None, "a"),
        ([STORE, ("old", "reference", 9), TRAIN], None, "train"),
        ([STORE, TRAIN, SMALL, LARGE, NAMED], "a", "a"),
        ([STORE, TRAIN, NAMED], "train", "train"),
        ([TRAIN, ("test", "test", 0)], None, "train"),
        ([TRAIN, ("test", "test", 0)], "test", None),
        ([STORE], None, None),
        ([STORE, ("test", "field", 5)], None, None),
    ],
)
def test_the_lab_is_what_was_asked_then_the_test_split_of_that_name_then_the_largest(
    splits: list[Size], asked: str | None, lab: str | None
) -> None:
    assert lab_split(splits, asked) == lab
