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
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from fruitaudit.errors import ModelError

Format = Literal["keras", "h5", "savedmodel"]
_SUFFIXES: dict[str, Format] = {".keras": "keras", ".h5": "h5", ".hdf5": "h5"}
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
_TRUST = "if you trust whoever made the file, pass --trust-model"


def inspect(path: Path, *, trust: bool) -> Format:
    """The format of a model file that may be loaded; raises ModelError in one sentence where it may not."""
    if path.is_dir():
        return _inspect_folder(path, trust=trust)
    if not path.exists():
        raise ModelError(f"{path}: there is no such model file; check model.path")
    if path.suffix.lower() not in _SUFFIXES:
        raise ModelError(f"{path}: a model is a .keras, .h5 or .hdf5 file or a SavedModel folder, not a "
                         f"{path.suffix or 'file without suffix'}; save it with model.save('model.keras')")  # fmt: skip
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty; copy or save it again")
    kind = _SUFFIXES[path.suffix.lower()]
    config = _config_in_zip(path) if kind == "keras" else _config_in_hdf5(path)
    _check_config(path, config, trust=trust)
    return kind


def _inspect_folder(path: Path, *, trust: bool) -> Format:
    if not ((path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file()):
        raise ModelError(f"{path}: the folder is no SavedModel (it has no saved_model.pb); name a .keras or .h5 file "
                         "or the SavedModel's own folder")  # fmt: skip
    if not trust:
        raise ModelError(f"{path}: a SavedModel is a program that runs when it is loaded; {_TRUST}")
    return "savedmodel"


def _config_in_zip(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            weights = archive.getinfo("model.weights.h5")
            with archive.open(weights) as stream:
                _check_hdf5(path, io.BytesIO(stream.read()), weights.file_size)
            return json.loads(archive.read("config.json"))
    except zipfile.BadZipFile as error:
        raise ModelError(f"{path}: the file is damaged or no .keras file ({_lower(error)}); copy or save it "
                         "again") from error  # fmt: skip
    except KeyError as error:
        raise ModelError(f"{path}: the file is no Keras model ({_lower(error)}); save it with "
                         "model.save('model.keras')") from error  # fmt: skip
    except (ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path}: the file is damaged ({_lower(error)}); copy or save it again") from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        link = stat.S_ISLNK(member.external_attr >> 16)
        if link or name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise ModelError(f"{path}: the archive's entry {member.filename!r} points out of the archive: it was made "
                             "to do harm; do not use it")  # fmt: skip
        if names.count(member.filename) > 1:
            raise ModelError(f"{path}: the archive holds {member.filename!r} twice, which Keras never writes; "
                             "do not use it")  # fmt: skip
        if member.filename not in _MEMBERS and name.parts[0] != "assets":
            raise ModelError(f"{path}: the archive holds {member.filename!r}, which is no part of a Keras model; "
                             "save it with model.save('model.keras')")  # fmt: skip
    _check_expansion(path, sum(member.file_size for member in members))
    if archive.getinfo("config.json").file_size > _MAX_CONFIG:
        raise ModelError(f"{path}: config.json is larger than {_MAX_CONFIG >> 20} MB, which no model needs; "
                         "do not use the file")  # fmt: skip


def _check_expansion(path: Path, size: int) -> None:
    on_disk = path.stat().st_size
    if size > max(_MAX_SMALL, _MAX_EXPANSION * on_disk):
        raise ModelError(f"{path}: {on_disk >> 10} kB on disk would unfold to {size >> 20} MB: a decompression bomb; "
                         "do not use it")  # fmt: skip


def _config_in_hdf5(path: Path) -> Any:
    import h5py

    if not h5py.is_hdf5(path):
        raise ModelError(f"{path}: the file is damaged or no HDF5 file; copy or save it again")
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
        with path.open("rb") as stream:
            _check_hdf5(path, stream, path.stat().st_size)
        if config is None:
            raise ModelError(f"{path}: the file holds weights without the model around them; save the whole model "
                             "with model.save('model.keras')")  # fmt: skip
        return json.loads(config)
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise ModelError(f"{path}: the file is damaged ({_lower(error)}); copy or save it again") from error


def _check_hdf5(path: Path, stream: IO[bytes], size: int) -> None:
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


def _check_config(path: Path, config: Any, *, trust: bool) -> None:
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path}: the file does not describe a Keras model; save it with model.save('model.keras')")
    for found in _objects(config):
        kind, name = str(found["class_name"]), _name_of(found)
        code = _CODE.get(kind.rsplit(">", 1)[-1])
        if code is not None and not trust:
            raise ModelError(f"{path}: the layer {name} is a {kind} layer: it {code}; {_TRUST}")
        if code is None and not _of_keras(found):
            where = found.get("module") or found.get("registered_name") or kind
            raise ModelError(f"{path}: {name} is of the class {kind}, which is not part of Keras ({where}); export "
                             "the model as a SavedModel with model.export(folder) where that class is defined, and "
                             "pass --trust-model")  # fmt: skip


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every described object, however deep; without recursion, as depth is the file's choice."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            waiting.extend(reversed(item.values()))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def _of_keras(found: dict[str, Any]) -> bool:
    """Whether Keras itself defines the class. Keras 2 files name no module: Keras then looks among its own alone."""
    registered = found.get("registered_name")
    if registered not in (None, found["class_name"]) and ">" in str(registered):
        return False
    module = found.get("module")
    if module is None:
        return "module" not in found and ">" not in str(found["class_name"])
    if module == "builtins":
        # Data types ("__tuple__", "__numpy__", ...) and the names of Keras' own functions; others are not found.
        return str(found["class_name"]).startswith("__") or found["class_name"] in ("function", "slice")
    parts = str(module).split(".")
    return parts[0] == "keras" and (
        len(parts) == 1 or (parts[2:3] or ["layers"] if parts[1] == "src" else parts[1:2])[0] in _KERAS_PARTS
    )


def _name_of(found: dict[str, Any]) -> str:
    config = found.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return repr(str(name or found["class_name"]))


def _lower(error: Exception) -> str:
    text = str(error).strip().strip("'\"").splitlines()
    first = text[0] if text else type(error).__name__
    return first[:1].lower() + first[1:].rstrip(".")
