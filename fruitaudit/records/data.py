"""Samples, splits and the tensors made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
DoubleArray = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]
"""What an NPZ file holds, by name."""

Role = Literal["reference", "test", "field"]


@dataclass(frozen=True)
class Sample:
    """One labelled image. `id` is "<split>/<relative path>" (or "<split>/<index>" in an NPZ), unique in a run."""

    id: str
    label: int
    path: Path
    index: int | None = None
    """Row of the NPZ file `path`; None where `path` is the image itself."""
    group_id: str | None = None
    original: Path | None = None
    """The high-resolution photograph this sample was made from, for display only."""
    mask: Path | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def group_numbers(samples: Sequence[Sample]) -> IntArray | None:
    """(N,) a number for each group; a sample without one is a group of its own. None where no sample has one."""
    if not any(sample.group_id for sample in samples):
        return None
    names = [f"group {sample.group_id}" if sample.group_id else f"image {sample.id}" for sample in samples]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class BadFile:
    """A file that was found but is no sample, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ColourNote:
    """How many files of a split had to be converted, e.g. "transparency laid on white"."""

    conversion: str
    n: int


@dataclass(frozen=True)
class LabelConflict:
    """Images of one split that are the same picture to the model and stand under more than one class."""

    sample_ids: tuple[str, ...]
    classes: tuple[str, ...]
    """Of each of the images."""


@dataclass(frozen=True)
class SplitSummary:
    """What was read of one split. `n_found == n_used + len(bad)`."""

    name: str
    role: Role
    source: str
    n_found: int
    n_used: int
    class_counts: tuple[int, ...]
    bad: tuple[BadFile, ...]
    conversions: tuple[ColourNote, ...]
    fingerprint: str
    """SHA-256 over the ids, labels and file contents of the samples used."""
    notes: tuple[str, ...] = ()
    """What was decided while listing the split, e.g. how numbers in an NPZ were read as colours."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Images that `class_map` leaves out, by label; `n_found` does not count them."""
    conflicts: tuple[LabelConflict, ...] = ()

    @property
    def bad_share(self) -> float:
        """Share of the files found that could not be used, 0..1."""
        return len(self.bad) / self.n_found if self.n_found else 0.0


@dataclass(frozen=True)
class Background:
    """Images of the reference split, drawn with the seed: what the model knows, for methods that compare with it."""

    values: FloatArray
    """(M, H, W, C), preprocessed."""
    labels: IntArray
    sample_ids: tuple[str, ...]
    population: int
    """Images of the split that these were drawn of."""

    @cached_property
    def median(self) -> FloatArray:
        """(H, W, C) over the images; sorted row by row of an image, which takes a sixth of np.median's time."""
        middle = [(len(self.values) - 1) // 2, len(self.values) // 2]
        return np.stack([np.sort(row, axis=0)[middle].mean(axis=0) for row in np.moveaxis(self.values, 1, 0)])


@dataclass(frozen=True)
class Images:
    """A batch of model inputs.

    `values` is (N, H, W, C) float32, preprocessed. `low` and `high` (C,) are what a black and a white pixel become
    under the same preprocessing: the ends of the range that a fill or a baseline may use. `masks` (N, H, W) are 1 on
    the object, 0 beside it, NaN for an image without a mask; None where no image has one.
    """

    values: FloatArray
    sample_ids: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    masks: FloatArray | None = None
    background: Background | None = None
    """Set for a method that asks for it: see `attribution.base.background_of`."""
    groups: IntArray | None = None
    """(N,) the number of each image's group (`group_id`); None where no image has one."""

    def __len__(self) -> int:
        return len(self.values)

    def unit(self) -> FloatArray:
        """The images mapped back to 0 (black) .. 1 (white), same shape."""
        span = self.high - self.low
        return np.clip((self.values - self.low) / span, 0.0, 1.0).astype(np.float32)

    def select(self, rows: slice | IntArray) -> Images:
        """The images of these rows."""
        ids = np.asarray(self.sample_ids, dtype=object)[rows]
        masks = None if self.masks is None else self.masks[rows]
        groups = None if self.groups is None else self.groups[rows]
        return Images(self.values[rows], tuple(ids), self.low, self.high, masks, self.background, groups)

    def one_by_one(self) -> Iterator[Images]:
        """Each image as a batch of its own."""
        for i in range(len(self)):
            yield self.select(slice(i, i + 1))
