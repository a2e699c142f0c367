"""Reads a model file before Keras touches it, and refuses whatever is, or could become, code.

A `.keras` file is a zip with a JSON description, a `.h5` file carries the same JSON as an attribute: both are plain
data as long as they name only Keras' own classes, none of which runs what the file brings along. A SavedModel is a
TensorFlow program. TensorFlow is not imported here.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from fruitaudit.errors import ModelError

Format = Literal["keras", "h5", "savedmodel"]


@dataclass(frozen=True)
class Inspection:
    """A file that may be loaded. `code` lists the parts of it that run because the user trusts them."""

    format: Format
    keras_version: str | None = None
    code: tuple[str, ...] = ()


_SUFFIXES: dict[str, Format] = {".keras": "keras", ".h5": "h5", ".hdf5": "h5"}
_MAGIC: dict[bytes, Format] = {b"PK\x03\x04": "keras", b"\x89HDF": "h5"}
_CODE = {
    "Lambda": "is a Python function stored in the file",
    "__lambda__": "is a Python function stored in the file",
    "TFSMLayer": "loads a TensorFlow program",
    "TorchModuleWrapper": "unpickles a PyTorch module",
    "JaxLayer": "runs a stored JAX function",
    "FlaxLayer": "runs a stored Flax module",
    "__typespec__": "names a class to build from the file",
}
_KERAS_PARTS = {
    "activations", "applications", "backend", "constraints", "dtype_policies", "initializers", "layers", "losses",
    "metrics", "models", "ops", "optimizers", "quantizers", "random", "regularizers",
}  # fmt: skip
"""Modules of Keras that hold parts of a model. Others (utils, saving, ...) can fetch and read files."""
_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
_MAX_CONFIG = 64 << 20
_MAX_EXPANSION = 200
"""A file that unfolds to more than this many times its size, and to more than `_MAX_SMALL`, is a bomb."""
_MAX_SMALL = 64 << 20
_TRUST = "if you trust whoever made the file, pass --allow-code"


def inspect(path: Path, *, allow_code: bool) -> Inspection:
    """What a model file is, if it may be loaded; raises ModelError in one sentence where it may not."""
    if path.is_dir():
        return _inspect_folder(path, allow_code=allow_code)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file; check model.path")
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise ModelError(f"{path}: a model is a .keras, .h5 or .hdf5 file or a SavedModel folder, not a "
                         f"{path.suffix or 'file without suffix'}; save it with model.save('model.keras')")  # fmt: skip
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty; copy or save it again")
    _check_name(path, kind)
    try:
        config, version = _read_zip(path) if kind == "keras" else _read_hdf5(path)
        parsed = json.loads(config)
    except KeyError as error:
        raise ModelError(f"{path}: the file is no Keras model ({_lower(error)}); save it with "
                         "model.save('model.keras')") from error  # fmt: skip
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise ModelError(f"{path}: the file is damaged or no {path.suffix} file ({_lower(error)}); copy or save it "
                         "again") from error  # fmt: skip
    return Inspection(kind, version, _check_config(path, parsed, allow_code=allow_code))


def _check_name(path: Path, kind: Format) -> None:
    """Keras knows the format by the name alone."""
    with path.open("rb") as stream:
        start = stream.read(4)
    content = next((named_format for magic, named_format in _MAGIC.items() if start == magic), kind)
    if content != kind or path.suffix not in _SUFFIXES:
        raise ModelError(f"{path}: by its content this is a {'.' + content} file; rename it to "
                         f"{path.with_suffix('.' + content).name}")  # fmt: skip


def _inspect_folder(path: Path, *, allow_code: bool) -> Inspection:
    if not (path / "saved_model.pb").is_file():
        raise ModelError(f"{path}: the folder is no SavedModel (it has no saved_model.pb); name a .keras or .h5 file "
                         "or the SavedModel's own folder")  # fmt: skip
    if not allow_code:
        raise ModelError(f"{path}: a SavedModel is a program that runs when it is loaded; {_TRUST}")
    return Inspection("savedmodel", code=("a SavedModel is a program that runs when it is loaded",))


def _read_zip(path: Path) -> tuple[bytes, str | None]:
    """The model's description and the version of Keras that wrote it."""
    with zipfile.ZipFile(path) as archive:
        _check_members(path, archive)
        _check_hdf5(path, io.BytesIO(archive.read("model.weights.h5")))
        config = archive.read("config.json")
        metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return config, None if version is None else str(version)


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        link = stat.S_ISLNK(member.external_attr >> 16)
        if link or name.is_absolute() or ".." in name.parts or ":" in str(name):
            raise ModelError(f"{path}: the archive's entry {member.filename!r} points out of the archive: it was made "
                             "to do harm; do not use it")  # fmt: skip
        if member.filename not in _MEMBERS and name.parts[:1] != ("assets",):
            raise ModelError(f"{path}: the archive holds {member.filename!r}, which is no part of a Keras model; "
                             "save it with model.save('model.keras')")  # fmt: skip
    if len({member.filename for member in members}) < len(members):
        raise ModelError(f"{path}: the archive holds two entries of one name, which Keras never writes; do not use it")
    _check_expansion(path, sum(member.file_size for member in members))
    if archive.getinfo("config.json").file_size > _MAX_CONFIG:
        raise ModelError(f"{path}: config.json is larger than {_MAX_CONFIG >> 20} MB, which no model needs; "
                         "do not use the file")  # fmt: skip


def _check_expansion(path: Path, size: int) -> None:
    on_disk = path.stat().st_size
    if size > max(_MAX_SMALL, _MAX_EXPANSION * on_disk):
        raise ModelError(f"{path}: {on_disk >> 10} kB on disk would unfold to {size >> 20} MB: a decompression bomb; "
                         "do not use it")  # fmt: skip


def _read_hdf5(path: Path) -> tuple[str | bytes, str | None]:
    """The model's description and the version of Keras that wrote it."""
    import h5py

    with path.open("rb") as stream:
        _check_hdf5(path, stream)
    with h5py.File(path, "r") as file:
        config, version = file.attrs.get("model_config"), file.attrs.get("keras_version")
    if config is None:
        raise ModelError(f"{path}: the file holds weights without the model around them; save the whole model with "
                         "model.save('model.keras')")  # fmt: skip
    return config, version.decode() if isinstance(version, bytes) else version


def _check_hdf5(path: Path, stream: IO[bytes]) -> None:
    """Refuse links and data that lie in other files, and arrays far larger than the file."""
    import h5py

    def visit(group: Any) -> Iterator[int]:
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ModelError(f"{path}: the entry {name!r} of its weights is a link to another place: it was made "
                                 "to do harm; do not use it")  # fmt: skip
            item = group[name]
            if isinstance(item, h5py.Group):
                yield from visit(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise ModelError(f"{path}: the weights {name!r} lie in another file: it was made to do harm; "
                                     "do not use it")  # fmt: skip
                yield item.nbytes

    with h5py.File(stream, "r") as file:
        _check_expansion(path, sum(visit(file)))


def _check_config(path: Path, config: Any, *, allow_code: bool) -> tuple[str, ...]:
    """Refuse code and foreign classes; with trust, the sentences about the code that will run."""
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path}: the file does not describe a Keras model; save it with model.save('model.keras')")
    messages = []
    # How the model was compiled is not loaded.
    for item in _objects({key: value for key, value in config.items() if key != "compile_config"}):
        kind, name = str(item["class_name"]), _name_of(item)
        code = _CODE.get(kind.rsplit(">", 1)[-1])
        if code is not None:
            messages.append(f"{name} ({kind}) {code}")
        elif not _of_keras(item):
            where = item.get("module") or item.get("registered_name") or kind
            raise ModelError(f"{path}: {name} is of the class {kind} ({where}), which is not part of Keras 3; export "
                             "the model as a SavedModel where that class is known, and pass --allow-code")  # fmt: skip
    if messages and not allow_code:
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise ModelError(f"{path}: the layer {messages[0]}{more}, so loading it may run code; {_TRUST}")
    return tuple(messages)


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every described object, however deep; without recursion, as depth is the file's choice."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def _of_keras(item: dict[str, Any]) -> bool:
    """Whether Keras itself defines the class. Keras 2 files name no module: Keras then looks among its own alone."""
    registered = item.get("registered_name")
    if registered not in (None, item["class_name"]) and ">" in str(registered):
        return False
    module = item.get("module")
    if module is None:
        return "module" not in item and ">" not in str(item["class_name"])
    if module == "builtins":
        # Data types ("__tuple__", "__numpy__", ...) and the names of Keras' own functions; others are not found.
        return str(item["class_name"]).startswith("__") or item["class_name"] in ("function", "slice")
    package, *parts = str(module).split(".")
    if parts[:1] == ["src"]:
        parts = parts[1:]
    return package == "keras" and (not parts or parts[0] in _KERAS_PARTS)


def _name_of(item: dict[str, Any]) -> str:
    config = item.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return repr(str(name or item["class_name"]))


def _lower(error: Exception) -> str:
    text = str(error).strip().strip("'\"").splitlines()
    first = text[0] if text else type(error).__name__
    return first[:1].lower() + first[1:].rstrip(".")
