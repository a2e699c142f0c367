"""DeepLIFT through maxima: what a maximum gains between two traces, x and r, is given to one place of its window.

The place is where the larger of the two traces has its maximum: there |x - r| is at least the difference of the maxima,
so that no multiplier is larger than the signal. Where the reference is the same all over a window, as one colour is,
that holds at each of its places, and the maximum of the image says which. (Were it the first of them, as in pooling,
maps would move to the upper left with every maximum that the reference wins.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.backward import (
    OF_ONE_NUMBER,
    UNCHANGED,
    Signals,
    TracedOperation,
    attributes,
    replay,
    transposed,
)

MAXIMA = ("MaxPool", "Max")
_PADDINGS = {
    "Conv2D": {b"VALID"},
    "DepthwiseConv2dNative": {b"VALID"},
    "MaxPool": {b"VALID", b"SAME"},
    "AvgPool": {b"VALID", b"SAME"},
}
"""Of operations on windows, those that put no other values at the edges: pooling leaves out what it pads."""
_ON_EACH = {*UNCHANGED, *OF_ONE_NUMBER, "Relu", "Relu6", "Cast", "BiasAdd", "AddV2", "Sub", "Mul", "RealDiv"}


@dataclass(frozen=True)
class Maximum(TracedOperation):
    """A maximum, together with the ReLU before it where nothing else reads that."""

    relu: TracedOperation | None
    reference: int
    """Which trace is the reference's: 0 that of `op`, 1 that of `partner`."""
    even: bool
    """Whether it is known to hold the same values all over each window."""

    @property
    def inputs(self) -> list[Any]:
        return super().inputs if self.relu is None else self.relu.inputs

    @property
    def partner_inputs(self) -> list[Any]:
        return super().partner_inputs if self.relu is None else self.relu.partner_inputs


def maximum(step: TracedOperation, signals: Signals) -> Signals:
    """m (y - q) / (x - r) at one place of each window, for maxima y and q; a ReLU before them is part of y and q."""
    step = cast("Maximum", step)
    [signal], [x], [r], [i] = signals, step.inputs, step.partner_inputs, step.needed
    gain = signal * (step.op.outputs[0] - step.partner.outputs[0])
    if step.even:
        # One pass back, as in a gradient; what is divided are maxima.
        x = tf.identity(x)
        [top], [top_r] = replay(step.op, [x]), replay(step.partner, [r])
        return list(tf.gradients(top, x, tf.math.divide_no_nan(gain, top - top_r)))
    pair, operations = [x, r], (step.op, step.partner)
    pair[step.reference] = _where_uneven(operations[step.reference], i, pair[step.reference])
    inputs = list(step.op.inputs)
    inputs[i] = tf.maximum(*pair)
    [place_signal] = transposed(step.op, inputs, [gain], step.needed)
    return [tf.math.divide_no_nan(place_signal, x - r)]


def _where_uneven(op: Any, i: int, values: Any) -> Any:
    """Input `i` of a maximum; least possible where only windows look that hold the same values all over.

    Made where the values are: in a loop over images, once for all.
    """
    with values.graph.as_default():
        inputs, values = list(op.inputs), tf.identity(values)
        highest, lowest = (sign * replay(op, [*inputs[:i], sign * values, *inputs[i + 1 :]])[0] for sign in (1, -1))
        rounding = 8 * np.finfo(values.dtype.as_numpy_dtype).eps
        uneven = highest - lowest > rounding * tf.maximum(abs(highest), abs(lowest))
        [coverage] = tf.gradients(_sums(op, values), values, tf.cast(uneven, values.dtype))
        return tf.where(coverage > 0, values, values.dtype.min)


def _sums(op: Any, values: Any) -> Any:
    """Over the windows of a maximum, each times some positive number."""
    if op.type == "Max":
        return tf.reduce_sum(values, op.inputs[1], keepdims=op.get_attr("keep_dims"))
    return tf.raw_ops.AvgPool(value=values, **attributes(op, "ksize", "strides", "padding", "data_format"))


def with_maxima(steps: Sequence[TracedOperation], colour: Any = None) -> list[TracedOperation]:
    """The same steps, with maxima joined to the ReLU before them.

    `colour`: the partner's picture, where that is the reference and of one colour; left out, it is the image.
    """
    readers = Counter(t.ref() for step in steps for t in step.inputs)
    relus = {step.op.outputs[0].ref(): step for step in steps if step.op.type == "Relu"}
    even = set() if colour is None else _even(steps, colour)
    reference = 0 if colour is None else 1
    merged = [_maximum(step, relus, readers, reference, even) if step.op.type in MAXIMA else step for step in steps]
    absorbed = {id(step.relu) for step in merged if isinstance(step, Maximum)}
    return [step for step in merged if id(step) not in absorbed]


def _maximum(
    step: TracedOperation, relus: dict[Any, TracedOperation], readers: Counter[Any], reference: int, even: set[Any]
) -> Maximum:
    source = step.inputs[0].ref()
    relu = relus.get(source) if readers[source] == 1 else None
    is_even = step.op.type == "MaxPool" and step.partner_inputs[0].ref() in even
    return Maximum(step.op, step.partner, step.needed, relu, reference, is_even)


def _even(steps: Iterable[TracedOperation], colour: Any) -> set[Any]:
    """Tensors of the partner's trace in which all places hold the same values, one per channel, as its picture does."""
    even = {colour.ref()}
    for step in steps:
        if _keeps_even(step) and all(t.ref() in even for t in step.partner_inputs):
            even |= {t.ref() for t in step.partner.outputs}
    return even


def _keeps_even(step: TracedOperation) -> bool:
    """Known to: windows that reach over no edge, and operations on each value with the same numbers at every place."""
    op = step.partner
    if op.type in _PADDINGS:
        places_first = op.get_attr("data_format") == b"NHWC" and step.needed == (0,)
        return places_first and op.get_attr("padding") in _PADDINGS[op.type]
    others = [t.shape for i, t in enumerate(op.inputs) if i not in step.needed]
    return op.type in _ON_EACH and all(s.rank is not None and all(n == 1 for n in s[:-1]) for s in others)
