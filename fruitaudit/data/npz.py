"""Splits stored as arrays in an NPZ file: images (N, H, W) or (N, H, W, C), and labels.

Rows are read one by one from the (compressed) archive, so that an NPZ larger than memory can be audited.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.listing import Entry, FileListing
from fruitaudit.errors import DataError
from fruitaudit.records.data import Sample

MAGIC = b"\x93NUMPY"
MAX_PIXELS = 100_000_000


def list_npz(settings: SplitSettings) -> FileListing:
    """Every row is a sample. Integer labels without `class_names` are indices into the model's classes."""
    path, where = settings.path, f"split {settings.name}: {settings.path.name}"
    try:
        with zipfile.ZipFile(path) as archive:
            array_names = [name.removesuffix(".npy") for name in archive.namelist()]
        images = _pick(array_names, settings.name, "images", "x", where)
        labels = _pick(array_names, settings.name, "labels", "y", where)
        with np.load(path, allow_pickle=False) as arrays:
            y = arrays[labels]
            names = [str(n) for n in arrays["class_names"]] if "class_names" in array_names else None
        rows = _Rows(path, images)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{where} holds pickled objects, which are code; save names as np.array(names, dtype=str) "
                            "and images as uint8") from None  # fmt: skip
        raise DataError(f"{where} cannot be read as an NPZ: {error}") from None
    if not _fits(rows.shape) or rows.dtype.kind not in "fiub":
        raise DataError(f"{where}: {images} must be numbers of shape (N, H, W) or (N, H, W, 1 | 3 | 4), "
                        f"not {rows.dtype} of shape {rows.shape}")  # fmt: skip
    if y.shape != (rows.shape[0],) or y.dtype.kind not in "iuUS":
        raise DataError(
            f"{where}: labels must be {rows.shape[0]} integers or strings, not {y.dtype} of shape {y.shape}"
        )
    texts = [n.decode() if isinstance(n, bytes) else str(n) for n in y.tolist()]
    indices = y.dtype.kind in "iu"
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
    with zipfile.ZipFile(path) as archive:
        stored = [name.removesuffix(".npy") for name in archive.namelist()]
    return _Rows(path, _pick(stored, split, "images", "x", path.name))


def _pick(stored: list[str], split: str, long: str, short: str, where: str) -> str:
    """`images` or `x`; in a file of several splits the one named after this split, `x_test`; else the only `x_*`."""
    named = [name for name in (long, short, f"{long}_{split}", f"{short}_{split}") if name in stored]
    others = [name for name in stored if name.startswith((f"{long}_", f"{short}_"))]
    if named or len(others) == 1:
        return (named or others)[0]
    raise DataError(f"{where}: none of its arrays ({', '.join(stored)}) is named {long}, {short} or {short}_{split}")


def _fits(shape: tuple[int, ...]) -> bool:
    sides = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))
    return sides and 0 < shape[1] * shape[2] <= MAX_PIXELS


@dataclass
class _Rows:
    """The array of images inside the archive."""

    path: Path
    name: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.stream = zipfile.ZipFile(self.path).open(f"{self.name}.npy")  # noqa: SIM115 - stays open for the rows
        version = np.lib.format.read_magic(self.stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, fortran, self.dtype = read_header(self.stream)
        self.start = self.stream.tell()
        if fortran and len(self.shape) > 1:
            raise ValueError(f"{self.name} is stored in Fortran order; save np.ascontiguousarray of it")

    def row(self, index: int) -> bytes:
        shape = self.shape[1:]
        size = int(np.prod(shape)) * self.dtype.itemsize
        with self.lock:
            try:
                self.stream.seek(self.start + index * size)
                data = self.stream.read(size)
            except (zlib.error, zipfile.BadZipFile, EOFError) as error:
                raise OSError(f"row {index} is damaged: {error}") from None
        if len(data) < size:
            raise OSError(f"row {index} is cut off")
        buffer = BytesIO()
        values: npt.NDArray[Any] = np.frombuffer(data, self.dtype).reshape(shape)
        np.save(buffer, values, allow_pickle=False)
        return buffer.getvalue()
