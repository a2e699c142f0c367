"""The two kinds of file that Keras writes, read as data: a zip with JSON and weights, and an HDF5 file.

Whatever is in one is added up before it unfolds, and nothing that lies elsewhere is followed. TensorFlow is not
imported here.
"""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from fruitaudit.errors import ModelError
from fruitaudit.models.memory import machine_memory, size_text
from fruitaudit.runtime.text import shortened

_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
_MAX_MEMBERS = 10_000
_MAX_CONFIG = 64 << 20
_MAX_EXPANSION = 200
"""A file that unfolds to more than this many times its size, and to more than `_MAX_SMALL`, is a bomb."""
_MAX_SMALL = 64 << 20
_MAX_ENTRIES = 20_000
"""Groups and arrays in the weights. Networks of a thousand layers have under 10,000."""
_VERSION = re.compile(r"\d[\w.+-]{0,30}")
_HARM = "it was made to do harm; do not use it"


class Description(NamedTuple):
    """What a file says of its model, and the version of Keras that wrote it."""

    config: Any
    keras_version: str | None


def read_keras(path: Path, limit: int | None) -> Description:
    """Of a `.keras` file. `limit`: bytes of memory. Raises ModelError in one sentence."""
    with _as_sentences(path), zipfile.ZipFile(path) as archive:
        _check_members(path, archive, limit)
        _check_hdf5(path, io.BytesIO(archive.read("model.weights.h5")), limit)
        config = _parsed(path, archive.read("config.json"))
        metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
    return Description(config, _version(metadata.get("keras_version") if isinstance(metadata, dict) else None))


def read_hdf5(path: Path, limit: int | None) -> Description:
    """Of a `.h5` file. `limit`: bytes of memory. Raises ModelError in one sentence."""
    import h5py

    with _as_sentences(path):
        with path.open("rb") as stream:
            _check_hdf5(path, stream, limit)
        with h5py.File(path, "r") as file:
            attributes = file.attrs
            if "model_config" not in attributes:
                raise ModelError(f"{path}: the file holds weights without the model around them; save the whole model "
                                 "with model.save('model.keras')")  # fmt: skip
            config = attributes["model_config"]
            version = attributes["keras_version"] if "keras_version" in attributes else None  # noqa: SIM401
        if not isinstance(config, str | bytes):
            raise ModelError(f"{path}: its model_config is no text, so that the file does not describe a Keras model; "
                             "save it with model.save('model.keras')")  # fmt: skip
        return Description(_parsed(path, config), _version(version))


@contextmanager
def _as_sentences(path: Path) -> Iterator[None]:
    """Turn what zipfile, zlib, json and h5py raise for a damaged file, which is nearly anything, into a sentence."""
    try:
        yield
    except (ModelError, MemoryError):
        raise
    except KeyError as error:
        raise ModelError(f"{path}: the file is no Keras model ({_cause(error)}); save it with "
                         "model.save('model.keras')") from error  # fmt: skip
    except Exception as error:
        raise ModelError(f"{path}: the file is damaged or no {path.suffix} file ({_cause(error)}); copy or save it "
                         "again") from error  # fmt: skip


def _parsed(path: Path, text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ModelError(f"{path}: its description is nested more deeply than that of any model; do not use the "
                         "file") from None  # fmt: skip


def _version(value: Any) -> str | None:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return str(text) if isinstance(text, str) and _VERSION.fullmatch(text) else None


def _check_members(path: Path, archive: zipfile.ZipFile, limit: int | None) -> None:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise ModelError(f"{path}: the archive has {len(members):,} entries, which no model needs; do not use it")
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        link = stat.S_ISLNK(member.external_attr >> 16)
        if link or name.is_absolute() or ".." in name.parts or ":" in str(name):
            raise ModelError(f"{path}: the archive's entry {shortened(member.filename)} points out of the archive: "
                             f"{_HARM}")  # fmt: skip
        if member.filename not in _MEMBERS and name.parts[:1] != ("assets",):
            raise ModelError(f"{path}: the archive holds {shortened(member.filename)}, which is no part of a Keras "
                             "model; save it with model.save('model.keras')")  # fmt: skip
    if len({member.filename for member in members}) < len(members):
        raise ModelError(f"{path}: the archive holds two entries of one name, which Keras never writes; do not use it")
    if sum(member.compress_size for member in members) > path.stat().st_size:
        raise ModelError(f"{path}: the archive's entries share their bytes, which Keras never writes; do not use it")
    _check_expansion(path, sum(member.file_size for member in members), limit)
    if archive.getinfo("config.json").file_size > _MAX_CONFIG:
        raise ModelError(f"{path}: config.json is larger than {_MAX_CONFIG >> 20} MB, which no model needs; "
                         "do not use the file")  # fmt: skip


def _check_expansion(path: Path, size: int, limit: int | None) -> None:
    on_disk = path.stat().st_size
    if size > max(_MAX_SMALL, _MAX_EXPANSION * on_disk):
        raise ModelError(f"{path}: {on_disk >> 10} kB on disk would unfold to {size_text(size)}: a decompression bomb; "
                         "do not use it")  # fmt: skip
    most = machine_memory() if limit is None else limit
    if size > most:
        whose = "this machine has" if limit is None else "memory allows"
        raise ModelError(f"{path}: its content takes {size_text(size)}, and {whose} {size_text(most)}; use a smaller "
                         "model")  # fmt: skip


def _check_hdf5(path: Path, stream: IO[bytes], limit: int | None) -> None:
    """Refuse links, data that lie in other files, two ways to one object, and arrays far larger than the file."""
    import h5py

    with h5py.File(stream, "r") as file:
        waiting, seen, size = [file["/"]], {_address(file["/"])}, 0
        while waiting:
            group = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ModelError(f"{path}: the entry {shortened(name)} of its weights is a link to another place: "
                                     f"{_HARM}")  # fmt: skip
                item = group[name]
                if _address(item) in seen:
                    raise ModelError(f"{path}: the entry {shortened(name)} of its weights is another name of an entry "
                                     f"before it: {_HARM}")  # fmt: skip
                seen.add(_address(item))
                if len(seen) > _MAX_ENTRIES:
                    raise ModelError(f"{path}: its weights have over {_MAX_ENTRIES:,} entries, which no model needs; "
                                     "do not use it")  # fmt: skip
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                elif isinstance(item, h5py.Dataset):
                    size += _bytes_here(path, name, item)
        _check_expansion(path, size, limit)


def _address(item: Any) -> int:
    import h5py

    return int(h5py.h5o.get_info(item.id).addr)


def _bytes_here(path: Path, name: str, dataset: Any) -> int:
    if dataset.external or dataset.is_virtual:
        raise ModelError(f"{path}: the weights {shortened(name)} lie in another file: {_HARM}")
    return int(dataset.nbytes)


def _cause(error: Exception) -> str:
    text = str(error).strip().strip("'\"").splitlines()
    first = text[0][:200] if text else type(error).__name__
    return first[:1].lower() + first[1:].rstrip(".")
