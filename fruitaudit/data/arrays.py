"""Arrays in files that anybody may have made: a header is believed only where the bytes behind it are there.

NumPy's own reader takes a header at its word, so that a file of a kilobyte may ask for all memory.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fruitaudit.runtime.text import shown

MAGIC = b"\x93NUMPY"
MAX_TEXTS, MAX_TEXT_BYTES = 10_000_000, 1_000_000_000
"""Labels or names of one file."""
MAX_ARRAY_BYTES = 4_000_000_000
"""An array that is read as a whole."""


class DamagedArray(ValueError):
    """What is wrong with an array or its archive, in words."""


@dataclass(frozen=True)
class Header:
    """What an .npy file says of itself; its values begin at byte `start`."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def n_bytes(self) -> int:
        """Of all values."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], n_bytes: int, name: str) -> Header:
    """The header of `name`, an .npy file of `n_bytes` in all. Raises DamagedArray where the two do not agree."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        header = Header(*read(stream), stream.tell())
    except Exception:  # the header is a Python literal, whose damage NumPy's parser answers with nearly anything
        raise DamagedArray(f"the header of {name} is damaged") from None
    if header.dtype.hasobject:
        raise DamagedArray(f"{name} holds pickled objects, which are code; save names as np.array(names, dtype=str) "
                           "and images as uint8")  # fmt: skip
    if min(header.shape, default=0) < 0 or header.start + header.n_bytes != n_bytes:
        kind = shown(str(header.dtype))
        raise DamagedArray(
            f"{name} is damaged: {kind} of shape {header.shape} does not take the {n_bytes} bytes that it has"
        )
    return header


def read_npy(data: bytes, name: str) -> npt.NDArray[Any]:
    """A whole .npy file. Raises DamagedArray."""
    stream = BytesIO(data)
    header = read_header(stream, len(data), name)
    if header.n_bytes == 0:
        raise DamagedArray(f"{name} is empty")
    values: npt.NDArray[Any] = np.frombuffer(data, header.dtype, offset=header.start)
    return values.reshape(header.shape, order="F" if header.fortran else "C")


_ARCHIVE_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError)
"""What zipfile raises while it reads: damage, an unknown compression, a password."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns what zipfile raises at a damaged archive into DamagedArray."""
    try:
        yield
    except DamagedArray:
        raise
    except (*_ARCHIVE_ERRORS, ValueError, KeyError, IndexError, OverflowError) as error:
        reason = shown(getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__)
        raise DamagedArray(f"{what} cannot be read: {reason}") from None


class Archive:
    """An NPZ file: its arrays by name."""

    def __init__(self, path: Path) -> None:
        with reading("it"):
            self._zip = zipfile.ZipFile(path)
        members = [m for m in self._zip.infolist() if m.filename.endswith(".npy")]
        self.members = {member.filename.removesuffix(".npy"): member for member in members}
        self.names = list(self.members)
        counts = Counter(member.filename.removesuffix(".npy") for member in members)
        if twice := [name for name, n in counts.items() if n > 1]:
            raise DamagedArray(f"it holds {shown(twice[0])} twice; keep one")

    def open(self, name: str) -> tuple[IO[bytes], Header]:
        """The stream of an array, at its first value."""
        with reading(name):
            stream = self._zip.open(self.members[name])
            return stream, read_header(stream, self.members[name].file_size, name)

    def texts(self, name: str, n: int | None = None) -> tuple[list[str], bool]:
        """Labels or names as text, and whether they are whole numbers; `n` is how many there should be.

        Labels may be a column (n, 1), as Keras' data sets have them, or whole numbers that became floats.
        """
        stream, header = self.open(name)
        column = n is not None and header.shape == (n, 1)
        kinds = "iuUS" if n is None else "iuUSf"
        if not (column or (len(header.shape) == 1 and n in (None, header.shape[0]))) or header.dtype.kind not in kinds:
            wanted = f"{name} must be" if n is None else f"labels must be {n}"
            raise DamagedArray(f"{wanted} integers or strings, not {shown(str(header.dtype))} of shape {header.shape}")
        if header.shape[0] > MAX_TEXTS or header.n_bytes > MAX_TEXT_BYTES:
            raise DamagedArray(f"{name} holds {header.shape[0]} labels of {header.dtype.itemsize} bytes, more than can "
                               "be read; divide the file")  # fmt: skip
        with reading(name), stream:
            data = stream.read()
            if len(data) != header.n_bytes:
                raise DamagedArray(f"{name} is cut off")
            array = np.frombuffer(data, header.dtype)
            if array.dtype.kind == "f":
                if not (np.isfinite(array).all() and (array == np.rint(array)).all() and (abs(array) < 2**53).all()):
                    raise DamagedArray(f"labels must be {n} integers or strings, not {shown(str(header.dtype))} with "
                                       "fractions or gaps")  # fmt: skip
                array = array.astype(np.int64)
            values = array.tolist()
            texts = [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]
            "".join(texts).encode("utf-8")  # half characters fail here and not in the report
        return texts, header.dtype.kind in "iuf"

    def array(self, name: str) -> npt.NDArray[Any]:
        """A whole array."""
        stream, header = self.open(name)
        if header.n_bytes > MAX_ARRAY_BYTES:
            raise DamagedArray(f"{name} takes {header.n_bytes} bytes, more than can be read")
        with reading(name), stream:
            values: npt.NDArray[Any] = np.frombuffer(stream.read(), header.dtype)
            return values.reshape(header.shape, order="F" if header.fortran else "C")

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
