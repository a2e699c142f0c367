"""What an operation of TensorFlow makes of shapes, by the arguments in its config alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fruitaudit.models.keras.declared import Dimension, Options, Senseless, Shape, Size
from fruitaudit.models.keras.keras2.operations import INPUT
from fruitaudit.models.keras.layer_sizes import merge, reshape

Arguments = dict[str, Any]
"""Shapes stand for tensors, as tuples; everything else is as in the file."""


def operation_size(options: Options, inputs: Sequence[Shape]) -> Size:
    """The size of a layer `TensorFlowOperation`; unknown where its operation is not listed here."""
    arguments = options.values.get("arguments")
    if not isinstance(arguments, dict):
        raise Senseless("has no arguments")
    rule = _RULES.get(str(options.values.get("operation")))
    try:
        return Size(None if rule is None else rule({key: _shapes(value, inputs) for key, value in arguments.items()}))
    except (LookupError, TypeError, ValueError):
        return Size(None)  # arguments that do not fit each other: TensorFlow says so


def _shapes(value: Any, inputs: Sequence[Shape]) -> Any:
    if isinstance(value, dict) and isinstance(value.get(INPUT), int):
        return inputs[value[INPUT]]
    return [_shapes(item, inputs) for item in value] if isinstance(value, list) else value


def _first(arguments: Arguments) -> Shape | None:
    """The output is as large as the first argument."""
    return _shape(next(iter(arguments.values())))


def _shape(value: Any) -> Shape:
    """Of a tensor or of a constant."""
    if isinstance(value, tuple):
        return value
    return (len(value), *_shape(value[0])) if isinstance(value, list) and value else ()


def _broadcast(arguments: Arguments) -> Shape | None:
    return merge(Options({}), [_shape(value) for value in arguments.values()]).output


def _axis(value: Any, rank: int) -> int:
    if not isinstance(value, int) or not -rank <= value < rank:
        raise IndexError
    return value % rank


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _reduced(arguments: Arguments) -> Shape | None:
    shape, axis = _shape(arguments["input_tensor"]), arguments.get("axis")
    axes = range(len(shape)) if axis is None else [_axis(item, len(shape)) for item in _listed(axis)]
    if arguments.get("keepdims"):
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _concat(arguments: Arguments) -> Shape | None:
    shapes = [_shape(value) for value in arguments["values"]]
    axis = _axis(arguments["axis"], len(shapes[0]))
    sizes = [shape[axis] for shape in shapes]
    total = None if None in sizes else sum(n or 0 for n in sizes)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _stack(arguments: Arguments) -> Shape | None:
    shapes = [_shape(value) for value in arguments["values"]]
    axis = _axis(arguments.get("axis", 0), len(shapes[0]) + 1)
    return (*shapes[0][:axis], len(shapes), *shapes[0][axis:])


def _split(arguments: Arguments) -> Shape | None:
    shape, parts = list(_shape(arguments["value"])), arguments["num_or_size_splits"]
    axis = _axis(arguments.get("axis", 0), len(shape))
    n = shape[axis]
    shape[axis] = _whole(parts[0]) if isinstance(parts, list) else None if n is None else n // max(_whole(parts), 1)
    return tuple(shape)


def _reshape(arguments: Arguments) -> Shape | None:
    wanted = arguments["shape"]
    if not isinstance(wanted, list) or not all(isinstance(n, int) for n in wanted):
        return None
    shape = _shape(arguments["tensor"])
    if wanted[0] == -1 and -1 not in wanted[1:]:
        return (None, *(_whole(n) for n in wanted[1:]))
    return reshape(Options({"target_shape": [n if n == -1 else _whole(n) for n in wanted[1:]]}), [shape]).output


def _expanded(arguments: Arguments) -> Shape | None:
    shape = _shape(arguments["input"])
    axis = _axis(arguments["axis"], len(shape) + 1)
    return (*shape[:axis], 1, *shape[axis:])


def _squeezed(arguments: Arguments) -> Shape | None:
    shape, axis = _shape(arguments["input"]), arguments.get("axis")
    if axis is None:
        return None
    axes = [_axis(item, len(shape)) for item in _listed(axis)]
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _transposed(arguments: Arguments) -> Shape | None:
    shape, order = _shape(arguments["a"]), arguments.get("perm")
    order = list(range(len(shape)))[::-1] if order is None else order
    return tuple(shape[_axis(i, len(shape))] for i in order)


def _padded(arguments: Arguments) -> Shape | None:
    shape, pairs = _shape(arguments["tensor"]), arguments["paddings"]
    added = [sum(_whole(n) for n in pair) for pair in pairs]
    return tuple(None if n is None else n + more for n, more in zip(shape, added, strict=True))


def _tiled(arguments: Arguments) -> Shape | None:
    shape, times = _shape(arguments["input"]), arguments["multiples"]
    return tuple(None if n is None else n * _whole(t) for n, t in zip(shape, times, strict=True))


def _resized(arguments: Arguments) -> Shape | None:
    *front, _, _, channels = _shape(arguments["images"])
    height, width = arguments["size"]
    return (*front, _whole(height), _whole(width), channels)


def _cropped_or_padded(arguments: Arguments) -> Shape | None:
    *front, _, _, channels = _shape(arguments["image"])
    return (*front, _whole(arguments["target_height"]), _whole(arguments["target_width"]), channels)


def _pooled(arguments: Arguments) -> Shape | None:
    batch, *sides, channels = _shape(arguments["input"])
    strides = [_whole(n) for n in _listed(arguments["strides"])]
    strides = strides * 2 if len(strides) == 1 else strides[1:3] if len(strides) == 4 else strides
    small = [None if n is None else math.ceil(n / max(s, 1)) for n, s in zip(sides, strides, strict=True)]
    exact = arguments.get("padding") == "SAME"
    return (batch, *(n if exact or n is None else max(n - 1, 0) for n in small), channels)


def _product(arguments: Arguments) -> Shape | None:
    left, right = list(_shape(arguments["a"])), list(_shape(arguments["b"]))
    rows: Dimension = left[-1] if arguments.get("transpose_a") else left[-2]
    columns: Dimension = right[-2] if arguments.get("transpose_b") else right[-1]
    front = merge(Options({}), [tuple(left[:-2]), tuple(right[:-2])]).output or ()
    return (*front, rows, columns)


def _grey(arguments: Arguments) -> Shape | None:
    return (*_shape(arguments["images"])[:-1], 1)


def _coloured(arguments: Arguments) -> Shape | None:
    return (*_shape(arguments["images"])[:-1], 3)


def _whole(value: Any) -> int:
    return Options({"size": value}).number("size", 0)


_Rule = Callable[[Arguments], Shape | None]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys((
        "__operators__.add", "math.add", "math.subtract", "math.multiply", "math.truediv", "math.divide",
        "math.divide_no_nan", "math.multiply_no_nan", "math.maximum", "math.minimum", "math.pow", "math.floordiv",
        "math.squared_difference", "math.floormod", "math.greater", "math.greater_equal", "math.less",
        "math.less_equal", "compat.v1.floor_div", "where",
    ), _broadcast),
    **dict.fromkeys((
        "math.abs", "math.ceil", "math.exp", "math.floor", "math.log", "math.log1p", "math.negative",
        "math.reciprocal", "math.round", "math.rsqrt", "math.sigmoid", "math.sign", "math.sqrt", "math.square",
        "math.tanh", "nn.relu", "nn.relu6", "nn.elu", "nn.selu", "nn.softsign", "nn.silu", "nn.swish", "nn.gelu",
        "nn.leaky_relu", "nn.softplus", "math.softplus", "nn.softmax", "nn.log_softmax", "nn.tanh", "nn.sigmoid",
        "nn.bias_add", "math.l2_normalize", "cast", "identity", "stop_gradient", "convert_to_tensor", "reverse",
        "image.per_image_standardization", "image.convert_image_dtype", "image.flip_left_right",
        "image.flip_up_down", "clip_by_value",
    ), _first),
    **dict.fromkeys(("math.reduce_mean", "math.reduce_sum", "math.reduce_max", "math.reduce_min", "math.reduce_prod",
                     "math.reduce_std", "math.reduce_variance", "math.reduce_euclidean_norm"), _reduced),
    "concat": _concat, "stack": _stack, "split": _split, "reshape": _reshape, "expand_dims": _expanded,
    "squeeze": _squeezed, "compat.v1.squeeze": _squeezed, "transpose": _transposed,
    "compat.v1.transpose": _transposed, "pad": _padded, "compat.v1.pad": _padded, "tile": _tiled,
    "image.resize": _resized, "image.resize_with_crop_or_pad": _cropped_or_padded, "nn.max_pool2d": _pooled,
    "nn.avg_pool2d": _pooled, "linalg.matmul": _product, "image.rgb_to_grayscale": _grey,
    "image.grayscale_to_rgb": _coloured,
}  # fmt: skip
