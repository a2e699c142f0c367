"""Weights of a file of Keras 2, put into the network that its description became.

Every weight of the network has exactly one array in the file, of its shape, and every array has a weight; else nothing
is loaded.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fruitaudit.models.keras.keras2.errors import Untranslatable
from fruitaudit.models.keras.keras2.names import name_of
from fruitaudit.models.keras.keras2.structure import Folders, Part, ordered, pairs
from fruitaudit.runtime.text import shortened

_FOLDERS = (
    Folders("layers", twice=False),  # 2.15
    Folders("_layer_checkpoint_dependencies", twice=False),  # 2.14
    Folders("_layer_checkpoint_dependencies", twice=True),  # 2.13
)
Arrays = dict[int, tuple[Part, dict[int, Any]]]
"""By the layer's id: the arrays of its weights by their index."""


def load(path: Path, kind: str, original: dict[str, Any], network: Any) -> None:
    """Raises Untranslatable where file and network do not fit each other."""
    try:
        _load(path, kind, original, network)
    # h5py and NumPy raise nearly anything for entries that are not what their names say.
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise Untranslatable("its weights are not stored as Keras 2 stores them") from error


def _load(path: Path, kind: str, original: dict[str, Any], network: Any) -> None:
    if kind == "h5":
        with h5py.File(path, "r") as file:
            _assign(network, _of_hdf5(file["model_weights"], original, network))
        return
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
        _assign(network, _of_keras(file, original, network))


def _of_keras(file: Any, original: dict[str, Any], network: Any) -> Arrays:
    candidates = [folders for folders in _FOLDERS if folders.container in file]
    if not candidates:
        raise Untranslatable("its weights do not lie where Keras 2 puts them")
    stored = set(_datasets(file[candidates[0].container], candidates[0].container))
    # Each names folders in the order of the layers: where two fit, they are the same.
    errors = []
    for folders in candidates:
        try:
            return _in_folders(file, stored, folders.of_model(original, network))
        except Untranslatable as error:
            errors.append(error)
    raise errors[0]


def _in_folders(file: Any, stored: set[str], parts: Iterator[tuple[str, Part]]) -> Arrays:
    arrays: Arrays = {}
    expected = set()
    for folder, part in parts:
        found = {i: f"{folder}/{i}" for i in range(len(part.weights)) if f"{folder}/{i}" in stored}
        if len(found) != len(part.weights):
            raise Untranslatable(f"{shortened(part.name)} has {len(part.weights)} weights, of which the file holds "
                                 f"{len(found)}")  # fmt: skip
        expected |= set(found.values())
        arrays[id(part.layer)] = (part, {index: file[path] for index, path in found.items()})
    if more := stored - expected:
        raise Untranslatable(f"its weights {shortened(min(more))} belong to no layer")
    return arrays


def _datasets(group: Any, path: str) -> Iterator[str]:
    waiting = [(path, group)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, h5py.Dataset):
            yield path
        else:
            waiting.extend((f"{path}/{name}", item[name]) for name in item)


def _of_hdf5(file: Any, original: dict[str, Any], network: Any) -> Arrays:
    arrays: Arrays = {}
    listed = {name for name in _texts(file, "layer_names") if name in file and _texts(file[name], "weight_names")}
    for described, layer in pairs(original, network):
        name = name_of(described)
        trained, others = ordered(described, layer)
        wanted, group = trained + others, file.get(name, {})
        paths = _texts(group, "weight_names") if name in file else []
        if len(paths) != len(wanted):
            raise Untranslatable(f"{shortened(name)} has {len(wanted)} weights, of which the file holds {len(paths)}")
        siblings = {part.name for part, _ in wanted}
        for path, (part, index) in zip(paths, wanted, strict=True):
            _check_name(path, part, index, siblings)
            arrays.setdefault(id(part.layer), (part, {}))[1][index] = group[path]
        listed.discard(name)
    if listed:
        raise Untranslatable(f"its weights of {shortened(min(listed))} belong to no layer")
    return arrays


def _check_name(path: str, part: Part, index: int, siblings: set[str]) -> None:
    """The name of an array must be that of its weight, and name no other layer of the model."""
    *folders, last = path.split("/")
    stored, wanted = (re.sub(r"(_\d+)?(:\d+)?$", "", name) for name in (last, part.weights[index].name))
    named = siblings & ({*folders} | {"/".join(folders[:-1]), "/".join(folders)})
    # Keras 3 calls the kernel of a DepthwiseConv2D as that of any other layer.
    if stored not in (wanted, f"depthwise_{wanted}") or (named and part.name not in named):
        raise Untranslatable(f"its weights are in another order than its layers: {shortened(path)} stands for the "
                             f"{wanted} of {shortened(part.name)}")  # fmt: skip


def _texts(group: Any, name: str) -> list[str]:
    """A list of names, which Keras cuts in pieces where it is long."""
    attributes = group.attrs
    if name in attributes:
        values = list(attributes[name])
    else:
        pieces: list[Any] = []
        while (piece := f"{name}{len(pieces)}") in attributes:
            pieces.append(attributes[piece])
        values = [value for piece in pieces for value in piece]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _assign(network: Any, arrays: Arrays) -> None:
    """Check everything, then load everything."""
    stores = []
    for part, found in arrays.values():
        store = {}
        for index, weight in enumerate(part.weights):
            dataset = found[index]
            if tuple(dataset.shape) != tuple(weight.shape) or dataset.dtype.kind not in "fiu":
                raise Untranslatable(f"the {weight.name} of {shortened(part.name)} should have the shape "
                                     f"{tuple(weight.shape)} and has {tuple(dataset.shape)} in the file")  # fmt: skip
            store[str(index)] = np.asarray(dataset)
        stores.append((part.layer, store))
    loaded = {id(weight) for part, _ in arrays.values() for weight in part.weights}
    if missing := [weight for weight in network.weights if id(weight) not in loaded]:
        raise Untranslatable(f"the file holds no {shortened(missing[0].path)}")
    for layer, store in stores:
        layer.load_own_variables(store)
