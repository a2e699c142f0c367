"""Which split is the lab: the one that the field is compared with."""

from __future__ import annotations

from collections.abc import Iterable

from fruitaudit.records.data import Role

Size = tuple[str, Role, int]
"""Name, role and number of images of a split."""


def lab_split(splits: Iterable[Size], asked: str | None = None) -> str | None:
    """The one that was asked for, else the test split named test, else the largest test split, else reference split.

    Of two as large the first; None where none of these has images.
    """
    with_images = [split for split in splits if split[2] and split[1] != "field"]
    if asked is not None:
        return next((name for name, _, _ in with_images if name == asked), None)
    tests = [split for split in with_images if split[1] == "test"]
    named = [split for split in tests if split[0] == "test"]
    largest = max(named or tests or with_images, key=lambda split: split[2], default=None)
    return None if largest is None else largest[0]
