"""Reads a model file before Keras touches it, and refuses whatever is, or could become, code.

A `.keras` file is a zip with a JSON description, a `.h5` file carries the same JSON as an attribute: both are plain
data as long as they name only Keras' own classes, none of which runs what the file brings along. A SavedModel is a
TensorFlow program. TensorFlow is not imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.containers import read_hdf5, read_keras
from fruitaudit.models.keras.keras2.objects import HARD_SIGMOID, OWN_PACKAGE
from fruitaudit.models.keras.keras2.operations import OPERATION
from fruitaudit.models.keras.keras2.translate import Translation, of_keras2, translate
from fruitaudit.models.keras.unfolding import check_unfolding
from fruitaudit.runtime.lfs import INSTEAD, points
from fruitaudit.runtime.text import shortened

Format = Literal["keras", "h5", "savedmodel"]


@dataclass(frozen=True)
class Inspection:
    """A file that may be loaded. `code` lists the parts of it that run because the user trusts them.

    `translation`: of a file of Keras 2 what Keras 3 is to build; it is this that was checked.
    """

    format: Format
    keras_version: str | None = None
    code: tuple[str, ...] = ()
    translation: Translation | None = None


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
_OWN = {f"{OWN_PACKAGE}>{kind}" for kind in (OPERATION, HARD_SIGMOID)}
_MAX_DEPTH = 200
"""Levels of the description. A model in a model takes four."""
_TRUST = "if you trust whoever made the file, pass --allow-code"


def inspect(path: Path, *, allow_code: bool, memory: int | None = None) -> Inspection:
    """What a model file is, if it may be loaded; raises ModelError in one sentence where it may not.

    `memory`: the most bytes that it may take; without it what the machine has.
    """
    if path.is_dir():
        return _inspect_folder(path, allow_code=allow_code)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file; check model.path")
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise ModelError(f"{path}: a model is a .keras, .h5 or .hdf5 file or a SavedModel folder, not a "
                         f"{path.suffix or 'file without suffix'}; save it with model.save('model.keras')")  # fmt: skip
    if points(path):
        raise ModelError(f"{path}: {INSTEAD}")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty; copy or save it again")
    _check_name(path, kind)
    config, version = (read_keras if kind == "keras" else read_hdf5)(path, memory)
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path}: the file does not describe a Keras model; save it with model.save('model.keras')")
    translation = None
    if of_keras2(config, version):
        _check_depth(path, config)
        translation = translate(path, config, version)
        config = translation.config
    code = _check_config(path, config, allow_code=allow_code, translated=translation is not None)
    check_unfolding(path, config, memory)
    return Inspection(kind, version, code, translation)


def _check_name(path: Path, kind: Format) -> None:
    """Keras knows the format by the name alone."""
    with path.open("rb") as stream:
        start = stream.read(4)
    content = next((named_format for magic, named_format in _MAGIC.items() if start == magic), kind)
    if content == kind and path.suffix not in _SUFFIXES:
        raise ModelError(f"{path}: Keras reads {path.suffix.lower()} in small letters only; rename it to "
                         f"{path.with_suffix('.' + content).name}")  # fmt: skip
    if content != kind:
        raise ModelError(f"{path}: by its content this is a {'.' + content} file; rename it to "
                         f"{path.with_suffix('.' + content).name}")  # fmt: skip


def _inspect_folder(path: Path, *, allow_code: bool) -> Inspection:
    if not (path / "saved_model.pb").is_file():
        raise ModelError(f"{path}: the folder is no SavedModel (it has no saved_model.pb); name a .keras or .h5 file "
                         "or the SavedModel's own folder")  # fmt: skip
    if pointer := next((file for file in sorted(path.rglob("*")) if points(file)), None):
        raise ModelError(f"{pointer}: {INSTEAD}")
    if not allow_code:
        raise ModelError(f"{path}: a SavedModel is a program that runs when it is loaded; {_TRUST}")
    return Inspection("savedmodel", code=("a SavedModel is a program that runs when it is loaded",))


def _check_config(path: Path, config: dict[str, Any], *, allow_code: bool, translated: bool) -> tuple[str, ...]:
    """Refuse code and foreign classes; with trust, the sentences about the code that will run.

    `translated`: whether layers of fruitaudit's may be among them, which no file can name.
    """
    messages = []
    # How the model was compiled is not loaded.
    for item in _objects(path, {key: value for key, value in config.items() if key != "compile_config"}):
        kind, name = shortened(item["class_name"])[1:-1], _name_of(item)
        code = _CODE.get(str(item["class_name"]).rsplit(">", 1)[-1])
        if item["class_name"] == "function":
            # Keras would put one of its own functions in its place, whatever the maker's does.
            raise ModelError(f"{path}: the function {shortened(item.get('config'))} is code of the model's maker, "
                             "which the file only names; export the model as a SavedModel where that function is "
                             "known, and pass --allow-code")  # fmt: skip
        if code is not None:
            messages.append(f"{name} ({kind}) {code}")
        elif not _of_keras(item) and not (translated and item.get("registered_name") in _OWN):
            where = shortened(item.get("module") or item.get("registered_name") or kind)[1:-1]
            raise ModelError(f"{path}: {name} is of the class {kind} ({where}), which is not part of Keras 3; export "
                             "the model as a SavedModel where that class is known, and pass --allow-code")  # fmt: skip
    if messages and not allow_code:
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise ModelError(f"{path}: the layer {messages[0]}{more}, so loading it may run code; {_TRUST}")
    return tuple(messages)


def _check_depth(path: Path, config: dict[str, Any]) -> None:
    for _ in _objects(path, config):
        pass


def _objects(path: Path, config: Any) -> Iterator[dict[str, Any]]:
    """Every described object, however deep; without recursion, as depth is the file's choice."""
    stack = [(config, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > _MAX_DEPTH:
            raise ModelError(f"{path}: its description is nested more deeply than that of any model; do not use the "
                             "file")  # fmt: skip
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            stack.extend((value, depth + 1) for value in reversed(item.values()))
        elif isinstance(item, list):
            stack.extend((value, depth + 1) for value in reversed(item))


def _of_keras(item: dict[str, Any]) -> bool:
    """Whether Keras itself defines the class. Keras 2 files name no module: Keras then looks among its own alone."""
    registered = item.get("registered_name")
    if registered not in (None, item["class_name"]) and ">" in str(registered):
        return False
    module = item.get("module")
    if module is None:
        return "module" not in item and ">" not in str(item["class_name"])
    if module == "builtins":
        # Data types ("__tuple__", "__numpy__", ...).
        return str(item["class_name"]).startswith("__") or item["class_name"] == "slice"
    package, *parts = str(module).split(".")
    if parts[:1] == ["src"]:
        parts = parts[1:]
    return package == "keras" and (not parts or parts[0] in _KERAS_PARTS)


def _name_of(item: dict[str, Any]) -> str:
    config = item.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return shortened(name or item["class_name"])
