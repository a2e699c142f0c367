"""What a format of splits finds on disk, before labels are matched to the model's classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fruitaudit.records.data import BadFile

SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff"))


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


def _is_number(label: str) -> bool:
    # Python refuses to read numbers of some thousand digits.
    return label.isdecimal() and len(label) < 20 and str(int(label)) == label
