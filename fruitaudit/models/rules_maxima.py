"""DeepLIFT through maxima: what a maximum gains between two traces, x and r, is given to one place of its window.

The place is where the larger of the two traces has its maximum: there |x - r| is at least the difference of the maxima,
so that no multiplier is larger than the signal. Where r is the same all over a window that holds at each of its places,
and the maximum of x says which: then one pass back as in a gradient does, and what is divided are maxima.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fruitaudit.models.backend import tf
from fruitaudit.models.backward import OF_ONE_NUMBER, UNCHANGED, Signals, Step, replay, transposed

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
class Maximum(Step):
    """A maximum, together with the ReLU before it where nothing else reads that."""

    relu: Step | None
    even: bool
    """Whether the partner holds the same values all over each window."""

    @property
    def inputs(self) -> list[Any]:
        return super().inputs if self.relu is None else self.relu.inputs

    @property
    def partner_inputs(self) -> list[Any]:
        return super().partner_inputs if self.relu is None else self.relu.partner_inputs


def maximum(step: Step, signals: Signals) -> Signals:
    """m (y - q) / (x - r) at one place of each window, for maxima y and q; a ReLU before them is part of y and q."""
    [signal], [x], [r] = signals, step.inputs, step.partner_inputs
    gained = signal * (step.op.outputs[0] - step.partner.outputs[0])
    if isinstance(step, Maximum) and step.even:
        x = tf.identity(x)
        [top], [top_r] = replay(step.op, [x]), replay(step.partner, [r])
        return list(tf.gradients(top, x, tf.math.divide_no_nan(gained, top - top_r)))
    inputs = list(step.op.inputs)
    inputs[step.needed[0]] = tf.maximum(x, r)
    [given] = transposed(step.op, inputs, [gained], step.needed)
    return [tf.math.divide_no_nan(given, x - r)]


def joined(steps: Sequence[Step], colour: Any = None) -> list[Step]:
    """The same steps, with maxima joined to the ReLU before them; `colour`: the partner's picture, if of one colour."""
    readers = Counter(t.ref() for step in steps for t in step.inputs)
    relus = {step.op.outputs[0].ref(): step for step in steps if step.op.type == "Relu"}
    even = set() if colour is None else _even(steps, colour)
    made = [step if step.op.type not in MAXIMA else _maximum(step, relus, readers, even) for step in steps]
    gone = {id(step.relu) for step in made if isinstance(step, Maximum)}
    return [step for step in made if id(step) not in gone]


def _maximum(step: Step, relus: dict[Any, Step], readers: Counter[Any], even: set[Any]) -> Maximum:
    read = step.inputs[0].ref()
    relu = relus.get(read) if readers[read] == 1 else None
    is_even = step.op.type == "MaxPool" and step.partner_inputs[0].ref() in even
    return Maximum(step.op, step.partner, step.needed, relu, is_even)


def _even(steps: Iterable[Step], colour: Any) -> set[Any]:
    """Tensors of the partner's trace in which all places hold the same values, one a channel, as its picture does."""
    even = {colour.ref()}
    for step in steps:
        if _keeps_even(step) and all(t.ref() in even for t in step.partner_inputs):
            even |= {t.ref() for t in step.partner.outputs}
    return even


def _keeps_even(step: Step) -> bool:
    """Known to: windows that reach over no edge, and operations on each value with the same numbers at every place."""
    op = step.partner
    if op.type in _PADDINGS:
        places_first = op.get_attr("data_format") == b"NHWC" and step.needed == (0,)
        return places_first and op.get_attr("padding") in _PADDINGS[op.type]
    others = [t.shape for i, t in enumerate(op.inputs) if i not in step.needed]
    return op.type in _ON_EACH and all(s.rank is not None and all(n == 1 for n in s[:-1]) for s in others)
