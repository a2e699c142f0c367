"""Small parts of a layer's config: numbers, number types, activations, initializers."""

from __future__ import annotations

from typing import Any

from fruitaudit.models.keras.keras2.errors import Untranslatable
from fruitaudit.runtime.text import shortened

HARD_SIGMOID = "HardSigmoid"
"""Of Keras 2: another function than the hard sigmoid of Keras 3."""
OWN_PACKAGE = "fruitaudit"
_MODULES = {"initializer": "keras.initializers", "regularizer": "keras.regularizers", "constraint": "keras.constraints"}
_POLICIES = {"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"}
_ACTIVATIONS = {
    "elu", "exponential", "gelu", "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "softmax", "softplus", "softsign", "swish", "tanh",
}  # fmt: skip
"""Functions that are the same in Keras 2 and 3."""
_RENAMED = {"softmax_v2": "softmax", "swish_impl": "silu", "relu_v2": "relu"}


def own(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """A layer of fruitaudit's, as Keras 3 describes one."""
    return {"module": None, "class_name": kind, "config": config, "registered_name": f"{OWN_PACKAGE}>{kind}"}


def of_keras(kind: str, config: dict[str, Any], module: str = "keras.layers") -> dict[str, Any]:
    """A part of Keras, as Keras 3 describes one."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def is_of_keras(item: dict[str, Any]) -> bool:
    """Whether Keras 2 means a class of its own, not one that somebody registered."""
    registered, module = item.get("registered_name"), item.get("module")
    named = registered in (None, item.get("class_name")) and ">" not in str(item.get("class_name"))
    package = str(module).split(".")[0]
    return named and (module is None or package in ("keras", "tf_keras", "tensorflow"))


def value_of(value: Any) -> Any:
    """Numbers out of the wrappers that Keras 2 puts around arrays."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__", "__tuple__"):
        inner = value.get("config", value.get("items"))
        return value_of(inner.get("value") if isinstance(inner, dict) else inner)
    if isinstance(value, dict) and value.get("type") == "ndarray":
        return value_of(value.get("value"))
    if isinstance(value, dict) and set(value) == {"value", "dtype"}:
        return value_of(value["value"])
    return value


def number_type(value: Any) -> Any:
    """The name of a policy, out of its description."""
    if isinstance(value, dict):
        config = value.get("config")
        value = config.get("name") if isinstance(config, dict) else None
    if value is not None and value not in _POLICIES and not str(value).startswith(("int", "uint")):
        raise Untranslatable(f"the number type {shortened(value)} is unknown to Keras 3")
    return value


def activation(value: Any) -> Any:
    """A function by its name; one of the maker's own stays as it is, so that it is refused as code."""
    if value is None or (isinstance(value, dict) and value.get("class_name") == "function"):
        return value
    if value == "hard_sigmoid":
        return own(HARD_SIGMOID, {"name": "hard_sigmoid"})
    if isinstance(value, str) and _RENAMED.get(value, value) in _ACTIVATIONS:
        return _RENAMED.get(value, value)
    raise Untranslatable(f"the activation {shortened(value)} is unknown to Keras 3")


def part(key: str, value: Any) -> Any:
    """An initializer, regularizer or constraint."""
    module = _MODULES.get(key.rsplit("_", 1)[-1])
    if module is None or not isinstance(value, dict) or not is_of_keras(value):
        return value
    config = value.get("config")
    # The number type of an initializer is that of its weight.
    plain = {k: value_of(v) for k, v in config.items() if k != "dtype"} if isinstance(config, dict) else {}
    return of_keras(str(value.get("class_name")), plain, module)
