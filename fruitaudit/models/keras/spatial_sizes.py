"""What layers with axes of space make of a shape: convolutions, pooling, padding, cropping, resizing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fruitaudit.models.keras.declared import Dimension, Options, Rule, Shape, Size, product

_RANK = re.compile(r"([123])D")


def spatial_rule_of(kind: str) -> Rule | None:
    """The rule of a class of layers; None where it is none of these."""
    rule = _AXES.get(_RANK.sub("#D", kind))
    return None if rule is None else _spatial(rule)


def _spatial(
    rule: Callable[[Options, Sequence[Dimension], Dimension], tuple[Sequence[Dimension], Dimension, int]],
) -> Rule:
    """A rule of the axes of space and the channels, whichever comes first."""

    def sized(options: Options, inputs: Sequence[Shape]) -> Size:
        batch, *rest = inputs[0]
        first = options.has("data_format", "channels_first")
        space, channels = (rest[1:], rest[0]) if first else (rest[:-1], rest[-1])
        space_after, channels_after, weights = rule(options, space, channels)
        order = (channels_after, *space_after) if first else (*space_after, channels_after)
        return Size((batch, *order), weights)

    return sized


def _window(options: Options, space: Sequence[Dimension], kernel: str, strides: str | None) -> list[Dimension]:
    """Sizes after a window moved over the axes."""
    n = len(space)
    kernels = options.numbers(kernel, n)
    steps = options.numbers(strides or "", n, least=1) if strides in options.values else (1,) * n
    if strides == "strides" and kernel == "pool_size" and options.has("strides", None):
        steps = tuple(max(k, 1) for k in kernels)
    dilations = options.numbers("dilation_rate", n)
    valid = options.has("padding", "valid", None)
    sizes: list[Dimension] = []
    for size, k, step, dilation in zip(space, kernels, steps, dilations, strict=True):
        reach = (k - 1) * dilation if valid else 0
        sizes.append(None if size is None else max(-((reach - size) // step), 0))
    return sizes


def _convolution(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    filters, groups = options.number("filters"), options.number("groups", least=1)
    weights = product(options.numbers("kernel_size", len(space))) * ((channels or 1) // groups) * filters
    return _window(options, space, "kernel_size", "strides"), filters, weights + options.bias(filters)


def _transposed(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    filters, kernels = options.number("filters"), options.numbers("kernel_size", len(space))
    steps = options.numbers("strides", len(space), least=1)
    valid, exact = options.has("padding", "valid", None), options.has("output_padding", None)
    sizes: list[Dimension] = []
    for size, k, step in zip(space, kernels, steps, strict=True):
        grown = None if size is None else size * step + (max(k - step, 0) if valid else 0)
        sizes.append(grown if exact or grown is None else max(grown - step, 0))
    return sizes, filters, product((*kernels, channels, filters)) + options.bias(filters)


def _depthwise(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    after = product((channels, options.number("depth_multiplier")))
    weights = product((*options.numbers("kernel_size", len(space)), after))
    return _window(options, space, "kernel_size", "strides"), after, weights


def _separable(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    sizes, after, weights = _depthwise(options, space, channels)
    filters = options.number("filters")
    return sizes, filters, weights + product((after, filters)) + options.bias(filters)


def _pool(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    return _window(options, space, "pool_size", "strides"), channels, 0


def _global_pool(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    return [1] * len(space) if options.has("keepdims", True) else [], channels, 0


def _pad(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    added = options.pairs("padding", len(space))
    return [None if size is None else size + more for size, more in zip(space, added, strict=True)], channels, 0


def _crop(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    taken = options.pairs("cropping", len(space))
    return [None if n is None else max(n - less, 0) for n, less in zip(space, taken, strict=True)], channels, 0


def _enlarge(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    factors = options.numbers("size", len(space))
    return [None if n is None else product((n, f)) for n, f in zip(space, factors, strict=True)], channels, 0


def _resize(options: Options, space: Sequence[Dimension], channels: Dimension) -> Any:
    height, width = options.number("height"), options.number("width")
    return [*space[:-2], height, width], channels, 0


_AXES: dict[str, Any] = {
    "Conv#D": _convolution, "Convolution#D": _convolution, "Conv#DTranspose": _transposed,
    "Convolution#DTranspose": _transposed, "DepthwiseConv#D": _depthwise, "SeparableConv#D": _separable,
    "SeparableConvolution#D": _separable, "MaxPooling#D": _pool, "AveragePooling#D": _pool, "MaxPool#D": _pool,
    "AvgPool#D": _pool, "GlobalAveragePooling#D": _global_pool, "GlobalMaxPooling#D": _global_pool,
    "GlobalAvgPool#D": _global_pool, "GlobalMaxPool#D": _global_pool, "ZeroPadding#D": _pad, "Cropping#D": _crop,
    "UpSampling#D": _enlarge, "Resizing": _resize, "CenterCrop": _resize, "RandomCrop": _resize,
}  # fmt: skip
"""# stands for 1, 2 or 3."""
