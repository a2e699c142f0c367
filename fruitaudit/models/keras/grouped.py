"""Gradients of convolutions in groups where TensorFlow has none: on a CPU without oneDNN.

There each group is a convolution of its own. Keras goes round it by XLA, which hides the operations that rules need.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from fruitaudit.models.keras.backend import tf

_NAME = "FruitauditGroupedConv2D"


@contextmanager
def differentiable() -> Iterator[None]:
    """Convolutions that are added to the graph in this block have a gradient, in groups or not."""
    if _has_gradients():
        yield
        return
    with tf.compat.v1.get_default_graph().gradient_override_map({"Conv2D": _NAME}):
        yield


def input_gradient(signal: Any, kernel: Any, sizes: Any, channels: int | None, **attributes: Any) -> Any:
    """`Conv2DBackpropInput` for input of these `sizes` (4,) with so many channels."""
    groups = (channels or kernel.shape[2]) // kernel.shape[2]
    if groups == 1 or _has_gradients():
        return tf.raw_ops.Conv2DBackpropInput(input_sizes=sizes, filter=kernel, out_backprop=signal, **attributes)
    axis = channel_axis(attributes)
    sizes = tf.tensor_scatter_nd_update(sizes, [[axis]], [kernel.shape[2]])
    return tf.concat(
        [
            tf.raw_ops.Conv2DBackpropInput(input_sizes=sizes, filter=k, out_backprop=s, **attributes)
            for k, s in zip(tf.split(kernel, groups, 3), tf.split(signal, groups, axis), strict=True)
        ],
        axis,
    )


@tf.RegisterGradient(_NAME)  # type: ignore[untyped-decorator]
def _gradient(op: Any, signal: Any) -> tuple[Any, Any]:
    x, kernel = op.inputs
    names = ("strides", "padding", "explicit_paddings", "data_format", "dilations")
    attributes = {name: op.get_attr(name) for name in names}
    attributes |= {name: attributes[name].decode() for name in ("padding", "data_format")}
    axis = channel_axis(attributes)
    groups = x.shape[axis] // kernel.shape[2]
    sizes = [*kernel.shape[:3], kernel.shape[3] // groups]
    of_kernel = [
        tf.raw_ops.Conv2DBackpropFilter(input=part, filter_sizes=sizes, out_backprop=s, **attributes)
        for part, s in zip(tf.split(x, groups, axis), tf.split(signal, groups, axis), strict=True)
    ]
    return input_gradient(signal, kernel, tf.shape(x), x.shape[axis], **attributes), tf.concat(of_kernel, 3)


def channel_axis(attributes: dict[str, Any]) -> int:
    """Which axis of its images counts the channels, by the attributes of a convolution."""
    return 1 if attributes["data_format"] == "NCHW" else 3


@cache
def _has_gradients() -> bool:
    """Whether this machine's kernels have them, by trying."""
    try:
        # Outside of whatever is being traced.
        with tf.init_scope():
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=(1, 3, 3, 4),
                filter=tf.ones((3, 3, 2, 4)),
                out_backprop=tf.ones((1, 3, 3, 4)),
                strides=(1, 1, 1, 1),
                padding="SAME",
            )
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        return False
    return True
