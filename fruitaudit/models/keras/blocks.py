"""Weighted layers put together again from the operations they were traced to: weights, normalization, bias.

A block is one convolution or matrix product with weights, the padding before it, the moves to and fro that dilate it,
and what is added to or multiplied with each of its channels after it, such as its bias and a batch normalization. It is
z = linear(a, w) + b with one w and one b, which the rules of relevance propagation are written for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fruitaudit.models.keras import backward
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.backward import TracedOperation, replay

_DATA_AND_WEIGHTS = {"Conv2D": (0, 1), "DepthwiseConv2dNative": (0, 1), "MatMul": (0, 1), "Conv2DBackpropInput": (2, 1)}
_ADDS = ("BiasAdd", "AddV2", "Add", "Sub")
_SCALES = ("Mul", "RealDiv")


@dataclass(frozen=True)
class TracedBlock(TracedOperation):
    """`op` is its last operation."""

    before: tuple[TracedOperation, ...]
    """Padding, and what lays every second place of an image side by side where the convolution is dilated by 2."""
    weighted: TracedOperation
    undilated: TracedOperation | None
    """What lays them back."""
    after: tuple[TracedOperation, ...]

    @property
    def kind(self) -> str:
        return "dense" if self.weighted.op.type == "MatMul" else "convolution"

    @property
    def inputs(self) -> list[Any]:
        return (*self.before, self.weighted)[0].inputs

    @property
    def sees_all_channels(self) -> bool:
        """Whether each output is computed from all channels of the input: not so in groups, and one by one."""
        kind, weights = self.weighted.op.type, self.weighted.op.inputs[1]
        return kind == "MatMul" or (kind == "Conv2D" and weights.shape[2] == self.inputs[0].shape[-1])

    def parameters(self) -> tuple[Any, Any]:
        """w and b per channel, after all that follows the weights."""
        weights = self.weighted.op.inputs[_DATA_AND_WEIGHTS[self.weighted.op.type][1]]
        channels = self.weighted.op.outputs[0].shape[-1]
        ones = [1] * (self.weighted.op.outputs[0].shape.rank - 1)
        scale = tf.ones((*ones, channels), weights.dtype)
        bias = tf.zeros((*ones, channels), weights.dtype)
        for step in self.after:
            if step.op.type in _SCALES:
                scale = _replay_with(step, scale)
            elif step.op.type == "Sub" and step.needed == (1,):
                scale = -scale
            bias = _replay_with(step, bias)
        shape = {"DepthwiseConv2dNative": weights.shape[2:], "Conv2DBackpropInput": (channels, 1)}
        return weights * tf.reshape(scale, shape.get(self.weighted.op.type, (channels,))), bias

    def linear(self, values: Any, weights: Any) -> Any:
        """The output of the block for other values and weights, without bias."""
        for step in self.before:
            values = _replay_with(step, values)
        inputs = list(self.weighted.op.inputs)
        data, place = _DATA_AND_WEIGHTS[self.weighted.op.type]
        inputs[data], inputs[place] = values, weights
        outputs = replay(self.weighted.op, inputs)[0]
        return outputs if self.undilated is None else _replay_with(self.undilated, outputs)

    def back(self, signal: Any, weights: Any) -> Any:
        """The transpose of `linear` with these weights."""
        values = tf.identity(self.inputs[0])
        return tf.gradients(self.linear(values, weights), values, signal)[0]


def _replay_with(step: TracedOperation, value: Any) -> Any:
    inputs = list(step.op.inputs)
    inputs[step.needed[0]] = value
    return replay(step.op, inputs)[0]


def with_blocks(steps: Sequence[TracedOperation]) -> list[TracedOperation]:
    """The same steps, with each weighted layer as one `TracedBlock`."""
    reads = Counter(t.ref() for step in steps for t in step.inputs)
    makers = {t.ref(): step for step in steps for t in step.op.outputs}
    readers = {t.ref(): step for step in steps for t in step.inputs}

    def alone(table: dict[Any, TracedOperation], tensor: Any, *kinds: str) -> TracedOperation | None:
        """Who makes or reads a tensor that only one step reads, if it is of these kinds."""
        step = table.get(tensor.ref()) if reads[tensor.ref()] == 1 else None
        return step if step and (step.op.type in kinds or not kinds) else None

    blocks: dict[int, TracedBlock] = {}
    merged: set[int] = set()
    for step in filter(_is_weighted, steps):
        dilating = alone(makers, step.inputs[0], "SpaceToBatchND")
        undilated = alone(readers, step.op.outputs[0], "BatchToSpaceND") if dilating else None
        before = [dilating] if dilating and undilated else []
        if padding := alone(makers, (*before, step)[0].inputs[0], "Pad", "PadV2"):
            before = [padding, *before]
        parts = [undilated or step]
        while (after := alone(readers, parts[-1].op.outputs[0])) and _is_of_channels(after):
            parts.append(after)
        merged |= {id(part) for part in (*before, step, *parts)}
        last = parts[-1]
        blocks[id(last)] = TracedBlock(
            last.op, last.partner, last.needed, tuple(before), step, undilated, tuple(parts[1:])
        )
    return [blocks.get(id(step), step) for step in steps if id(step) in blocks or id(step) not in merged]


def _is_weighted(step: TracedOperation) -> bool:
    places = _DATA_AND_WEIGHTS.get(step.op.type)
    plain = step.op.type != "MatMul" or not (step.op.get_attr("transpose_a") or step.op.get_attr("transpose_b"))
    return places is not None and step.needed == places[:1] and plain


def _is_of_channels(step: TracedOperation) -> bool:
    """Whether an operation adds one number to each channel, or multiplies it by one."""
    if len(step.needed) != 1 or step.op.type not in (*_ADDS, *_SCALES):
        return False
    if step.op.type == "RealDiv" and step.needed == (1,):
        return False
    shape = step.op.inputs[1 - step.needed[0]].shape
    return shape.rank is not None and all(n == 1 for n in shape[:-1])


def does_not_go_below_zero(tensor: Any) -> bool:
    """Whether the values are known to be at least zero, because a ReLU made them."""
    op = tensor.op
    while op.type in (*backward.MOVES, "MaxPool", "Max", "AvgPool", "Mean", "Identity") and op.type not in _JOINS:
        op = op.inputs[0].op
    return op.type in ("Relu", "Relu6", "Sigmoid")


_JOINS = ("Pack", "ConcatV2", "PadV2", "MirrorPad")
