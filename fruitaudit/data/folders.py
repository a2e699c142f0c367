"""Class folders: <split>/<class>/**/<image>, the layout that Keras reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.listing import SUFFIXES, UNREAD, Entry, FileListing, readable
from fruitaudit.errors import DataError
from fruitaudit.records.data import BadFile
from fruitaudit.runtime.paths import is_file, real

_JUNK = frozenset(("thumbs.db", "desktop.ini", "__macosx"))
"""What operating systems leave in folders; names that begin with a dot are left out too."""


def list_folders(settings: SplitSettings) -> FileListing:
    """Every file below a class folder, in sorted order. A file beside the class folders counts only if an image."""
    root = settings.path
    entries, bad = [], []
    labels = tuple(sorted(readable(p.name) for p in root.iterdir() if p.is_dir() and not _is_junk(p.name)))
    if not labels:
        raise DataError(f"split {settings.name}: {root} holds no class folders; put the images of each class in a "
                        "folder of its name, or name a CSV manifest or an NPZ")  # fmt: skip
    for path in _files(root, settings.name):
        relative = path.relative_to(root)
        name, is_image = readable(relative.as_posix()), path.suffix.lower() in SUFFIXES
        if len(relative.parts) > 1 and is_image:
            entries.append(Entry(name, readable(relative.parts[0]), path))
        elif len(relative.parts) > 1:
            bad.append(BadFile(name, _why_no_image(path.suffix)))
        elif is_image:
            bad.append(BadFile(name, "lies in no class folder"))
    return FileListing("class folders", labels, tuple(entries), tuple(bad))


def _why_no_image(suffix: str) -> str:
    if suffix.lower() in UNREAD:
        return f"{suffix} images are not read; save it as PNG"
    return f"not an image file: its name ends in {suffix or 'nothing'}"


def images_below(root: Path, split: str) -> Iterator[Path]:
    """All image files below a folder, in sorted order."""
    return (path for path in _files(root, split) if path.suffix.lower() in SUFFIXES and is_file(path))


def _files(root: Path, split: str) -> Iterator[Path]:
    """All files, in sorted order, links followed; a link back to a folder above it is not."""

    def fail(error: OSError) -> None:
        raise DataError(f"split {split}: {error.filename} cannot be read: {error.strerror}")

    for folder, folders, files in os.walk(root, onerror=fail, followlinks=True):
        above = {real(Path(folder)), *real(Path(folder)).parents}
        folders[:] = sorted(f for f in folders if not _is_junk(f) and real(Path(folder) / f) not in above)
        yield from (Path(folder) / f for f in sorted(files) if not _is_junk(f))


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK
