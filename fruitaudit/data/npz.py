"""Splits stored as arrays in an NPZ file: images (N, H, W) or (N, H, W, C), and labels.

Rows are read one by one from the (compressed) archive, so that an NPZ larger than memory can be audited.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.arrays import Archive, DamagedArray, reading
from fruitaudit.data.listing import Entry, FileListing
from fruitaudit.errors import DataError
from fruitaudit.records.data import Sample
from fruitaudit.runtime.text import shown

MAX_PIXELS = 100_000_000


def list_npz(settings: SplitSettings) -> FileListing:
    """Every row is a sample. Integer labels without `class_names` are indices into the model's classes."""
    where = f"split {settings.name}: {settings.path.name}"
    try:
        return _list(settings, where)
    except DamagedArray as error:
        raise DataError(f"{where} cannot be read as an NPZ: {error}") from None


def _list(settings: SplitSettings, where: str) -> FileListing:
    path = settings.path
    with Archive(path) as archive:
        images = _pick(archive.names, settings.name, "images", "x", where)
        labels = _pick(archive.names, settings.name, "labels", "y", where)
        stream, header = archive.open(images)
        stream.close()
        if not fits(header.shape) or header.dtype.kind not in "fiub":
            raise DataError(f"{where}: {images} must be numbers of shape (N, H, W) or (N, H, W, 1 | 3 | 4), "
                            f"not {shown(str(header.dtype))} of shape {header.shape}")  # fmt: skip
        if header.fortran:
            raise DamagedArray(f"{images} is stored in Fortran order; save np.ascontiguousarray of it")
        texts, indices = archive.texts(labels, header.shape[0])
        names = archive.texts("class_names")[0] if "class_names" in archive.names else None
    if twice := sorted({name for name in names or () if names and names.count(name) > 1}):
        raise DataError(f"{where}: class_names holds {twice[0]!r} twice; give every output its own name")
    if indices and names:
        texts = [names[int(i)] if 0 <= int(i) < len(names) else i for i in texts]
    class_names = names or sorted(set(texts), key=int if indices else None)
    entries = tuple(Entry(str(i), text, path, index=i) for i, text in enumerate(texts))
    return FileListing("NPZ", tuple(class_names), entries, labels_are_indices=indices and not names)


def row_bytes(sample: Sample) -> bytes:
    """The row of one sample as the bytes of an .npy file. In ascending order it takes one pass over the file."""
    stat = sample.path.stat()
    rows = _open_rows(sample.path, sample.id.partition("/")[0], stat.st_mtime_ns, stat.st_size)
    return rows.row(int(sample.index or 0))


@lru_cache(maxsize=4)
def _open_rows(path: Path, split: str, _mtime: int, _size: int) -> _Rows:
    archive = Archive(path)
    return _Rows(archive, _pick(archive.names, split, "images", "x", path.name))


def _pick(stored: list[str], split: str, long: str, short: str, where: str) -> str:
    """`images` or `x`; in a file of several splits the one named after this split, `x_test`; else the only `x_*`."""
    named = [name for name in (long, short, f"{long}_{split}", f"{short}_{split}") if name in stored]
    others = [name for name in stored if name.startswith((f"{long}_", f"{short}_"))]
    if named or len(others) == 1:
        return (named or others)[0]
    raise DataError(
        f"{where}: none of its arrays ({shown(', '.join(stored))}) is named {long}, {short} or {short}_{split}"
    )


def fits(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape (N, H, W[, C]) can be read."""
    sides = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))
    return sides and 0 < shape[1] * shape[2] <= MAX_PIXELS


@dataclass
class _Rows:
    """The array of images inside the archive, which stays open for the rows."""

    archive: Archive
    name: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.stream, self.header = self.archive.open(self.name)

    def row(self, index: int) -> bytes:
        shape, dtype = self.header.shape[1:], self.header.dtype
        size = prod(shape) * dtype.itemsize
        with self.lock:
            try:
                with reading(f"row {index}"):
                    self.stream.seek(self.header.start + index * size)
                    data = self.stream.read(size)
            except DamagedArray as error:
                raise OSError(str(error)) from None
        if len(data) < size:
            raise OSError(f"row {index} is cut off")
        buffer = BytesIO()
        values: npt.NDArray[Any] = np.frombuffer(data, dtype).reshape(shape)
        np.save(buffer, values, allow_pickle=False)
        return buffer.getvalue()
