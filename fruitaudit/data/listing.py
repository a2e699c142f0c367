"""What a format of splits finds on disk, before labels are matched to the model's classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fruitaudit.records.data import BadFile

SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff"))
UNREAD = frozenset((".gif", ".heic", ".heif", ".avif", ".svg", ".jp2", ".jxl", ".raw", ".dng", ".cr2", ".nef"))
"""Suffixes of pictures that are not read."""


@dataclass(frozen=True)
class Entry:
    """A file, or row of a file, that claims to be an image of a label. `name` is unique within the split."""

    name: str
    label: str
    path: Path
    index: int | None = None
    group_id: str | None = None
    original: Path | None = None
    mask: Path | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileListing:
    """`labels` in the order that a model trained on this data would give its outputs."""

    kind: str
    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    bad: tuple[BadFile, ...] = ()
    labels_are_indices: bool = False
    notes: tuple[str, ...] = ()


def readable(name: str) -> str:
    """A file name as text: bytes that are no UTF-8, which file systems allow, are spelled out in hexadecimal."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def in_order(labels: set[str]) -> tuple[str, ...]:
    """Sorted; by number where all are whole numbers, because then they are the numbers of the model's outputs."""
    if all(map(_is_number, labels)):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))


_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?", re.ASCII)


def whole_number(label: str) -> int | None:
    """The whole number that a label spells, also as 03, -1 or 3.0; None for another label."""
    text = label.strip()
    return int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else None


def without_fractions(labels: Sequence[str]) -> list[str] | None:
    """3 for 3.0 where all labels are whole numbers and some were made floats, as tables do when a label is missing."""
    numbers = [whole_number(label) for label in labels]
    if any(number is None for number in numbers) or not any("." in label for label in labels):
        return None
    return [str(number) for number in numbers]


def _is_number(label: str) -> bool:
    # Python refuses to read numbers of some thousand digits.
    return label.isdecimal() and len(label) < 20 and str(int(label)) == label
