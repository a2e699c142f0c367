"""A split: labelled samples on disk, matched to the model's classes. No image is opened here."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.folders import images_below, list_folders
from fruitaudit.data.labels import ClassList
from fruitaudit.data.listing import Entry, FileListing, readable
from fruitaudit.data.manifest import list_manifest
from fruitaudit.data.npz import list_npz
from fruitaudit.errors import DataError
from fruitaudit.records.data import BadFile, Role, Sample
from fruitaudit.runtime.lfs import INSTEAD, points

_FORMATS: dict[str, Callable[[SplitSettings], FileListing]] = {
    ".csv": list_manifest,
    ".parquet": list_manifest,
    ".pq": list_manifest,
    ".npz": list_npz,
}


@dataclass(frozen=True)
class Split:
    """The samples of a split in a fixed order. `n_found == len(samples) + len(bad)`.

    `bad` are files that are known to be unusable without opening them; reading may find more among the samples.
    """

    name: str
    role: Role
    source: str
    samples: tuple[Sample, ...]
    bad: tuple[BadFile, ...]
    n_found: int
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """As the data have them."""
    mapped: tuple[str, ...] = ()
    """Keys of the class map that were needed."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Images that the class map leaves out, by label; `n_found` does not count them."""


def class_names_of(settings: SplitSettings) -> tuple[str, ...]:
    """The labels of a split, in the order in which a model trained on it would number its outputs.

    Names of class folders and text labels are sorted; labels that are whole numbers go by number; an NPZ may say
    `class_names` itself.
    """
    return _list(settings).labels


def open_split(settings: SplitSettings, classes: ClassList | tuple[str, ...]) -> Split:
    """List a split. Raises DataError where it holds nothing the model could be asked about."""
    listing = _list(settings)
    classes = classes if isinstance(classes, ClassList) else ClassList(classes)
    if not listing.entries and not listing.bad:
        raise DataError(f"split {settings.name}: {settings.path} holds no images")
    originals = _paired(settings.name, settings.originals, "originals", listing)
    masks = _paired(settings.name, settings.masks, "masks", listing)
    assignment = classes.assign(
        (entry.label for entry in listing.entries), labels_are_indices=listing.labels_are_indices
    )
    counts = Counter(entry.label for entry in listing.entries)
    if assignment.unknown:
        unknown = {label: counts[label] for label in assignment.unknown}
        raise DataError(f"split {settings.name}: {classes.why_unknown(unknown)}")
    left_out = {label: counts[label] for label in assignment.left_out}
    entries, bad = [entry for entry in listing.entries if entry.label in assignment.classes], listing.bad
    samples = [_sample(settings.name, e, assignment.classes[e.label], originals, masks) for e in entries]
    if not samples and not bad:
        raise DataError(f"split {settings.name}: class_map leaves out all of its {sum(left_out.values())} images")
    if not samples:
        raise DataError(
            f"split {settings.name}: none of the {len(bad)} files in {settings.path} can be used; "
            f"the first one, {bad[0].name}: {bad[0].reason}"
        )
    notes = [*listing.notes, *assignment.notes]
    if settings.originals is not None:
        notes.append(f"{sum(s.original is not None for s in samples)} of {len(samples)} samples have an original")
    if any(s.mask is not None for s in samples):
        notes.append(f"{sum(s.mask is not None for s in samples)} of {len(samples)} samples have a mask of the object")
    source = f"{listing.kind} {settings.path.name}"
    return Split(
        settings.name,
        settings.role,
        source,
        tuple(samples),
        bad,
        len(samples) + len(bad),
        tuple(notes),
        tuple(sorted(counts)),
        tuple(assignment.mapped.values()),
        left_out,
    )


def _list(settings: SplitSettings) -> FileListing:
    path = settings.path
    if not path.exists():
        raise DataError(f"split {settings.name}: {path} does not exist; correct its path")
    if path.is_dir():
        return list_folders(settings)
    if points(path):
        raise DataError(f"split {settings.name}: {path}: {INSTEAD}")
    if path.suffix.lower() not in _FORMATS:
        raise DataError(f"split {settings.name}: {path} is neither a folder nor a .csv, .parquet or .npz file")
    return _FORMATS[path.suffix.lower()](settings)


def _sample(split: str, entry: Entry, label: int, originals: dict[str, Path], masks: dict[str, Path]) -> Sample:
    return Sample(
        f"{split}/{entry.name}",
        label,
        entry.path,
        entry.index,
        entry.group_id,
        entry.original or originals.get(_stem(entry.name)),
        entry.mask or masks.get(_stem(entry.name)),
        entry.metadata,
    )


def _paired(split: str, folder: Path | None, what: str, listing: FileListing) -> dict[str, Path]:
    """Pictures by relative path without suffix: store/Avocado/001.png pairs with store_hi/Avocado/001.jpg."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise DataError(f"split {split}: the folder of {what} {folder} does not exist; correct its path")
    # Reversed, so that of 001.jpg and 001.png the first one stays.
    files = list(images_below(folder, split))
    paths = {_stem(readable(path.relative_to(folder).as_posix())): path for path in reversed(files)}
    if not any(_stem(entry.name) in paths for entry in listing.entries):
        raise DataError(
            f"split {split}: none of the {len(files)} images in {folder} has the relative path of a sample "
            f"({', '.join(_stem(entry.name) for entry in listing.entries[:2])}, ...), which is how {what} pair"
        )
    return paths


def _stem(name: str) -> str:
    # A picture may come from a Mac and its mask from elsewhere.
    return unicodedata.normalize("NFC", str(PurePosixPath(name).with_suffix("")))
