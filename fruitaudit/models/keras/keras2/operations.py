"""The operations of TensorFlow between layers that are translated, and the calls of them in a file of Keras 2.

Keras 2 writes `x / 127.5` as a layer of the class TFOpLambda, with the name of the function ("math.truediv") and its
arguments. Only those in `OPERATIONS` are translated; each becomes a layer `TensorFlowOperation` whose config holds
the operation and its constants. TensorFlow is not imported here.
"""

from __future__ import annotations

from typing import Any

from fruitaudit.models.keras.keras2 import objects
from fruitaudit.models.keras.keras2.errors import Untranslatable
from fruitaudit.models.keras.keras2.names import name_of
from fruitaudit.runtime.text import shortened

KINDS = {"TFOpLambda", "SlicingOpLambda"}
OPERATION = "TensorFlowOperation"
INPUT = "input"
"""`{"input": 0}` stands for the first tensor that the layer is called with."""
SLICE = {"start", "stop", "step"}
ELLIPSIS = {"class_name": "__ellipsis__"}
_CONSTANT = "_CONSTANT_VALUE"
_NAMES = {"name", "Tout"}
"""Arguments without a meaning for what is computed."""
_MAX_DEPTH = 8
"""Levels of lists in an argument."""

_BINARY = ("x", "y")
_REDUCED = ("input_tensor", "axis", "keepdims")
OPERATIONS: dict[str, tuple[str, ...]] = {
    "__operators__.add": _BINARY, "__operators__.getitem": ("tensor", "slice_spec"),
    **dict.fromkeys((
        "math.add", "math.subtract", "math.multiply", "math.truediv", "math.divide", "math.divide_no_nan",
        "math.multiply_no_nan", "math.maximum", "math.minimum", "math.pow", "math.squared_difference", "math.floordiv",
        "math.floormod", "math.greater", "math.greater_equal", "math.less", "math.less_equal", "compat.v1.floor_div",
    ), _BINARY),
    **dict.fromkeys((
        "math.abs", "math.ceil", "math.exp", "math.floor", "math.log", "math.log1p", "math.negative",
        "math.reciprocal", "math.round", "math.rsqrt", "math.sigmoid", "math.sign", "math.sqrt", "math.square",
        "math.tanh",
    ), ("x",)),
    **dict.fromkeys(("nn.relu", "nn.relu6", "nn.elu", "nn.selu", "nn.softsign"), ("features",)),
    "nn.silu": ("features", "beta"), "nn.swish": ("features", "beta"), "nn.gelu": ("features", "approximate"),
    "nn.leaky_relu": ("features", "alpha"), "nn.softplus": ("features",), "math.softplus": ("features",),
    "nn.softmax": ("logits", "axis"), "nn.log_softmax": ("logits", "axis"), "nn.tanh": ("x",), "nn.sigmoid": ("x",),
    "nn.bias_add": ("value", "bias", "data_format"), "math.l2_normalize": ("x", "axis", "epsilon"),
    "clip_by_value": ("t", "clip_value_min", "clip_value_max"), "cast": ("x", "dtype"), "identity": ("input",),
    "stop_gradient": ("input",), "convert_to_tensor": ("value", "dtype"), "where": ("condition", "x", "y"),
    **dict.fromkeys(("math.reduce_mean", "math.reduce_sum", "math.reduce_max", "math.reduce_min", "math.reduce_prod",
                     "math.reduce_std", "math.reduce_variance", "math.reduce_euclidean_norm"), _REDUCED),
    "concat": ("values", "axis"), "stack": ("values", "axis"), "math.add_n": ("inputs",),
    "split": ("value", "num_or_size_splits", "axis", "num"), "unstack": ("value", "num", "axis"),
    "reshape": ("tensor", "shape"), "expand_dims": ("input", "axis"), "squeeze": ("input", "axis"),
    "compat.v1.squeeze": ("input", "axis"), "transpose": ("a", "perm", "conjugate"),
    "compat.v1.transpose": ("a", "perm", "conjugate"), "reverse": ("tensor", "axis"),
    "gather": ("params", "indices", "validate_indices", "axis", "batch_dims"),
    "compat.v1.gather": ("params", "indices", "validate_indices", "axis", "batch_dims"),
    "pad": ("tensor", "paddings", "mode", "constant_values"),
    "compat.v1.pad": ("tensor", "paddings", "mode", "constant_values"), "tile": ("input", "multiples"),
    "shape": ("input", "out_type"), "compat.v1.shape": ("input", "out_type"), "slice": ("input_", "begin", "size"),
    "linalg.matmul": ("a", "b", "transpose_a", "transpose_b"),
    "nn.max_pool2d": ("input", "ksize", "strides", "padding", "data_format"),
    "nn.avg_pool2d": ("input", "ksize", "strides", "padding", "data_format"),
    "nn.space_to_depth": ("input", "block_size", "data_format"),
    "nn.depth_to_space": ("input", "block_size", "data_format"),
    "image.resize": ("images", "size", "method", "preserve_aspect_ratio", "antialias"),
    "image.central_crop": ("image", "central_fraction"),
    "image.resize_with_crop_or_pad": ("image", "target_height", "target_width"),
    "image.rgb_to_grayscale": ("images",), "image.grayscale_to_rgb": ("images",),
    "image.per_image_standardization": ("image",), "image.convert_image_dtype": ("image", "dtype", "saturate"),
    "image.flip_left_right": ("image",), "image.flip_up_down": ("image",),
}  # fmt: skip
"""Names without "tf." and the arguments that are understood, the one that comes first in a call first."""


def layer(described: dict[str, Any], name: str) -> dict[str, Any]:
    """A layer `TensorFlowOperation` for a TFOpLambda or SlicingOpLambda."""
    nodes = described.get("inbound_nodes")
    if not isinstance(nodes, list) or not nodes:
        raise Untranslatable(f"the operation {shortened(name_of(described))} has no inputs")
    read = [_read(described, node)[0] for node in nodes]
    if any(arguments != read[0] for arguments in read):
        raise Untranslatable(f"the operation {shortened(name_of(described))} is called in two ways")
    return objects.own(OPERATION, {"name": name, "operation": operation_of(described), "arguments": read[0]})


def operation_of(described: dict[str, Any]) -> str:
    """The name of the function. Raises Untranslatable for one that is not in the table."""
    name = described["config"].get("function")
    if not isinstance(name, str) or name not in OPERATIONS:
        raise Untranslatable(f"{shortened(name_of(described))} is the operation {shortened(f'tf.{name}')}, which is "
                             "not translated")  # fmt: skip
    return name


def tensors_of(described: dict[str, Any], node: Any) -> list[list[Any]]:
    """[layer, node, output] of the tensors of a call, in the order in which its arguments name them."""
    return _read(described, node)[1]


def _read(described: dict[str, Any], node: Any) -> tuple[dict[str, Any], list[list[Any]]]:
    operation = operation_of(described)
    parameters = OPERATIONS[operation]
    first, options = _split(described, node)
    given = {parameters[0]: first, **{key: value for key, value in options.items() if key not in _NAMES}}
    if unknown := [key for key in given if key not in parameters]:
        raise Untranslatable(f"the operation tf.{operation} has the argument {shortened(unknown[0])}, which is not "
                             "translated")  # fmt: skip
    tensors: list[list[Any]] = []
    arguments = {key: _argument(described, value, tensors, 0) for key, value in given.items()}
    if not tensors:
        raise Untranslatable(f"the operation {shortened(name_of(described))} has no inputs")
    return arguments, tensors


def _split(described: dict[str, Any], node: Any) -> tuple[Any, dict[str, Any]]:
    """The first argument of a call, and the others by name."""
    if _is_end(node):
        return node[:3], node[3] if len(node) > 3 else {}
    if isinstance(node, list) and node and all(map(_is_end, node)):
        options: dict[str, Any] = next((end[3] for end in node if len(end) > 3 and end[3]), {})
        return [end[:3] for end in node], options
    raise Untranslatable(f"the operation {shortened(name_of(described))} has inputs that are not understood")


def _is_end(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and (_is_reference(value[:3]) or value[0] == _CONSTANT)
        and (len(value) == 3 or isinstance(value[3], dict))
    )


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and value[0] != _CONSTANT
        and type(value[1]) is type(value[2]) is int
        and min(value[1:]) >= 0
    )


def _argument(described: dict[str, Any], value: Any, tensors: list[list[Any]], depth: int) -> Any:
    value = objects.value_of(value)
    if _is_reference(value):
        tensors.append(value)
        return {INPUT: len(tensors) - 1}
    if isinstance(value, list) and len(value) == 3 and value[0] == _CONSTANT:
        return _argument(described, value[2], tensors, depth + 1)
    if value is None or isinstance(value, bool | int | float | str) or value == ELLIPSIS:
        return value
    if isinstance(value, dict) and set(value) == SLICE and depth < _MAX_DEPTH:
        return {key: _argument(described, item, tensors, depth + 1) for key, item in value.items()}
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [_argument(described, item, tensors, depth + 1) for item in value]
    raise Untranslatable(f"the operation {shortened(name_of(described))} has an argument that is not understood")
