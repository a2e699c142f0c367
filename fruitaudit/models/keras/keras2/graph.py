"""Models of Keras 2 and the calls between their layers, as Keras 3 describes them."""

from __future__ import annotations

from typing import Any

from fruitaudit.models.keras.keras2 import layers, objects, operations
from fruitaudit.models.keras.keras2.errors import Untranslatable
from fruitaudit.models.keras.keras2.names import Names, kind_of, layers_of, name_of
from fruitaudit.runtime.text import shortened

MODELS = {"Functional", "Model", "Sequential"}
_LEFT_AS_THEY_ARE = {"Lambda", "TFSMLayer", "__lambda__"}
"""Code, which is refused as such unless it is trusted."""
_CALL = ("training",)
"""What a call may be told beside tensors."""


def model(described: Any) -> dict[str, Any]:
    """A model of Keras 3. Raises Untranslatable."""
    kind = kind_of(described)
    if not _is_model(described):
        raise Untranslatable(f"the model is of the class {shortened(kind)}, which is code of its maker")
    return _sequential(described) if kind == "Sequential" else _functional(described)


def _is_model(described: dict[str, Any]) -> bool:
    # Keras 2 registers its own Functional under that name.
    return kind_of(described) in MODELS and objects.is_of_keras(described)


def _layer(described: Any, names: Names) -> dict[str, Any]:
    """A layer, or a model in a model."""
    kind, name = kind_of(described), name_of(described)
    config = described.get("config")
    if _is_model(described):
        result = model(described)
        result["config"]["name"] = names.new(name)
        return result
    if kind in _LEFT_AS_THEY_ARE:
        return {key: value for key, value in described.items() if key not in ("name", "inbound_nodes", "build_config")}
    if not isinstance(config, dict):
        raise Untranslatable(f"the layer {shortened(name)} has no configuration")
    if kind in operations.KINDS:
        return operations.layer(described, names.new(name))
    if not objects.is_of_keras(described) or not layers.known(kind):
        raise Untranslatable(f"{shortened(name)} is of the class {shortened(kind)}, which is not translated")
    return layers.translated(kind, config, names.new(name), lambda inner: _layer(inner, Names()))


def _input(config: Any, name: str) -> dict[str, Any]:
    shape = next((config[key] for key in ("batch_input_shape", "batch_shape") if config.get(key) is not None), None)
    if config.get("sparse") or config.get("ragged"):
        raise Untranslatable(f"the input {shortened(name)} is sparse or ragged, which no picture is")
    if not isinstance(shape := objects.value_of(shape), list):
        raise Untranslatable(f"the input {shortened(name)} has no shape")
    number_type = objects.number_type(config.get("dtype", config.get("input_dtype"))) or "float32"
    # A policy of mixed precision says nothing of the input.
    plain = "float32" if number_type.startswith("mixed") else number_type
    return objects.of_keras("InputLayer", {"batch_shape": shape, "dtype": plain, "sparse": False, "name": name})


def _sequential(described: dict[str, Any]) -> dict[str, Any]:
    parts, names = layers_of(described), Names()
    config = described.get("config")
    result: dict[str, Any] = {"name": name_of(described), "layers": []}
    for part in parts:
        if kind_of(part) == "InputLayer":
            result["layers"].append(_input(part["config"], names.new(name_of(part))))
        else:
            result["layers"].append(_layer(part, names))
    if parts and kind_of(parts[0]) != "InputLayer":
        first = _first_input(parts[0])
        if first is not None:
            result["layers"].insert(0, _input(first, names.new(f"{name_of(parts[0])}_input")))
        elif (shape := _built_for(described)) is not None:
            result["build_input_shape"] = [None, *shape[1:]]
    if isinstance(config, dict) and not isinstance(config.get("name"), str):
        result["name"] = "sequential"
    return objects.of_keras("Sequential", result, "keras")


def _first_input(part: dict[str, Any]) -> dict[str, Any] | None:
    """The config that says what the first layer, or the model in its place, takes."""
    while kind_of(part) in MODELS and (inner := layers_of(part)):
        part = inner[0]
    config = part.get("config")
    shape = config.get("batch_input_shape", config.get("batch_shape")) if isinstance(config, dict) else None
    return config if isinstance(shape, list) and kind_of(part) not in MODELS else None


def _built_for(described: dict[str, Any]) -> list[Any] | None:
    config, build = described.get("config"), described.get("build_config")
    shape = config.get("build_input_shape") if isinstance(config, dict) else None
    if shape is None and isinstance(build, dict):
        shape = build.get("input_shape")
    return shape if isinstance(shape, list) and shape else None


def _functional(described: dict[str, Any]) -> dict[str, Any]:
    parts, names = layers_of(described), Names()
    config = described["config"]
    calls = Calls(parts, names)
    translated = []
    for part in parts:
        name = name_of(part)
        is_input = kind_of(part) == "InputLayer"
        layer = _input(part["config"], names.new(name)) if is_input else _layer(part, names)
        layer["name"] = names.new(name)
        layer["inbound_nodes"] = calls.of(part)
        translated.append(layer)
    result = {
        "name": name_of(described),
        "layers": translated,
        "input_layers": _single(calls.ends(config.get("input_layers"))),
        "output_layers": _single(calls.ends(config.get("output_layers"))),
    }
    if isinstance(config.get("trainable"), bool):
        result["trainable"] = config["trainable"]
    return objects.of_keras("Functional", result, "keras.src.models.functional") | {"registered_name": "Functional"}


def _single(ends: Any) -> Any:
    """A model of one input takes an array, not a list of one."""
    return ends[0] if isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list) else ends


class Calls:
    """The calls of the layers of one model. Nodes of inner models are counted from 0, as Keras 3 counts them."""

    def __init__(self, parts: list[dict[str, Any]], names: Names) -> None:
        self.names = names
        self.kinds = {name_of(part): kind_of(part) for part in parts}
        named = _indices(parts)
        self.first = {name_of(part): _first_node(part, named.get(name_of(part), set())) for part in parts}

    def of(self, part: dict[str, Any]) -> list[Any]:
        """The calls of one layer."""
        nodes = part.get("inbound_nodes")
        if not isinstance(nodes, list):
            raise Untranslatable(f"{shortened(name_of(part))} says nothing of its inputs")
        if kind_of(part) in operations.KINDS:
            return [[self._legacy(end) for end in operations.tensors_of(part, node)] for node in nodes]
        return [self._call(part, node) for node in nodes]

    def ends(self, value: Any) -> Any:
        """Inputs or outputs of the model: a triple, or a list or mapping of them."""
        if is_tensor(value):
            name, node, output = self.tensor(value)
            # Here alone Keras 3 counts the nodes of a Functional model from 1.
            return [name, node + (self.kinds.get(value[0]) in ("Functional", "Model")), output]
        if isinstance(value, dict):
            return {key: self.ends(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.ends(item) for item in value]
        raise Untranslatable("its inputs and outputs are not described")

    def tensor(self, value: list[Any]) -> list[Any]:
        """[layer, node, output] under the layer's new name."""
        if value[0] not in self.first:
            raise Untranslatable(f"a layer takes what {shortened(value[0])} returns, which is no layer of the model")
        if (node := value[1] - self.first[value[0]]) < 0:
            raise Untranslatable(f"a layer takes a result of {shortened(value[0])} that there is not")
        return [self.names.new(value[0]), node, value[2]]

    def _legacy(self, value: list[Any]) -> list[Any]:
        return [*self.tensor(value), {}]

    def _call(self, part: dict[str, Any], node: Any) -> Any:
        if isinstance(node, dict):  # as Keras 3 writes it
            return node
        inputs = [node] if _is_input(node) else node
        if not isinstance(inputs, list) or not all(map(_is_input, inputs)):
            raise Untranslatable(f"{shortened(name_of(part))} is called with other than tensors")
        options = {k: v for i in inputs if len(i) == 4 for k, v in i[3].items() if v is not None and k != "name"}
        tensors = {key: value for key, value in options.items() if is_tensor(value)}
        if unknown := [key for key in options if key not in _CALL and key not in tensors]:
            raise Untranslatable(f"{shortened(name_of(part))} is called with {shortened(unknown[0])}")
        if not tensors:
            return [self._legacy(i[:3]) for i in inputs[:-1]] + [[*self.tensor(inputs[-1][:3]), options]]
        first = [self._revived(i[:3]) for i in inputs]
        kwargs = {key: self._revived(value) if key in tensors else value for key, value in options.items()}
        return {"args": first if len(first) == 1 else [first], "kwargs": kwargs}

    def _revived(self, value: list[Any]) -> dict[str, Any]:
        # Keras 3 puts the tensor itself in the place of this one, whatever its shape.
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [], "dtype": "float32", "keras_history": self.tensor(value)},
        }


def is_tensor(value: Any) -> bool:
    """Whether it is [layer, node, output]."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and type(value[1]) is type(value[2]) is int
        and min(value[1:]) >= 0
    )


def _is_input(value: Any) -> bool:
    return (
        isinstance(value, list)
        and is_tensor(value[:3])
        and (len(value) == 3 or (len(value) == 4 and isinstance(value[3], dict)))
    )


def _first_node(part: dict[str, Any], named: set[int]) -> int:
    """Keras 2 counts the nodes of a model that has its own input layer from 1."""
    if kind_of(part) not in MODELS:
        return 0
    inner = layers_of(part)
    return int(bool(inner) and kind_of(inner[0]) == "InputLayer") or int(bool(named) and 0 not in named)


def _indices(parts: list[dict[str, Any]]) -> dict[str, set[int]]:
    """The nodes of each layer that are named in the calls of others."""
    found: dict[str, set[int]] = {}
    stack: list[Any] = [part.get("inbound_nodes") for part in parts]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            if is_tensor(item[:3]):
                found.setdefault(item[0], set()).add(item[1])
                stack.extend(item[3:])
            else:
                stack.extend(item)
    return found
