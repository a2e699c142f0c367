"""Layers for what Keras 2 computes and Keras 3 has no layer for."""

from __future__ import annotations

from functools import reduce
from typing import Any

from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.keras2.objects import HARD_SIGMOID, OWN_PACKAGE
from fruitaudit.models.keras.keras2.operations import ELLIPSIS, INPUT, OPERATION, OPERATIONS, SLICE


@keras.saving.register_keras_serializable(package=OWN_PACKAGE, name=OPERATION)
class TensorFlowOperation(keras.layers.Layer):  # type: ignore[misc]
    """One operation of TensorFlow, such as `x / 127.5`, with its constants.

    `operation`: its name without "tf.", of `OPERATIONS`. `arguments`: by name; `{"input": i}` is the i-th tensor that
    the layer is called with, all else is constant.
    """

    def __init__(self, operation: str, arguments: dict[str, Any], **kwargs: Any) -> None:
        # Numbers keep their type, as they do between layers of Keras 2.
        super().__init__(**kwargs | {"autocast": False})
        if operation not in OPERATIONS or not set(arguments) <= set(OPERATIONS[operation]):
            raise ValueError(f"the operation {operation!r} with {sorted(arguments)} is not known")
        self.operation = operation
        self.arguments = arguments
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        tensors = inputs if isinstance(inputs, list | tuple) else [inputs]
        values = {key: _value(value, tensors) for key, value in self.arguments.items()}
        if self.operation == "__operators__.getitem":
            spec = values["slice_spec"]
            return values["tensor"][tuple(spec) if isinstance(spec, list) else spec]
        return _function(self.operation)(**values)

    @property
    def constants(self) -> dict[str, Any]:
        """The arguments that hold no tensor."""
        return {key: value for key, value in self.arguments.items() if not _takes(value)}

    def get_config(self) -> dict[str, Any]:
        base: dict[str, Any] = super().get_config()
        base.pop("autocast", None)
        return {**base, "operation": self.operation, "arguments": dict(self.arguments)}


@keras.saving.register_keras_serializable(package=OWN_PACKAGE, name=HARD_SIGMOID)
class HardSigmoid(keras.layers.Layer):  # type: ignore[misc]
    """min(max(0.2 x + 0.5, 0), 1), the hard sigmoid of Keras 2. That of Keras 3 is relu6(x + 3) / 6."""

    def call(self, inputs: Any) -> Any:
        return tf.clip_by_value(0.2 * inputs + 0.5, 0.0, 1.0)


def _function(operation: str) -> Any:
    name = "math.add" if operation == "__operators__.add" else operation
    return reduce(getattr, name.split("."), tf)


def _takes(value: Any) -> bool:
    """Whether a tensor is in it."""
    if isinstance(value, dict):
        return INPUT in value or any(map(_takes, value.values()))
    return isinstance(value, list | tuple) and any(map(_takes, value))


def _value(value: Any, tensors: Any) -> Any:
    if isinstance(value, dict):
        if INPUT in value:
            return tensors[value[INPUT]]
        if value == ELLIPSIS:
            return Ellipsis
        if set(value) == SLICE:
            return slice(*(_value(value[key], tensors) for key in ("start", "stop", "step")))
    if isinstance(value, list | tuple):
        return [_value(item, tensors) for item in value]
    return value
