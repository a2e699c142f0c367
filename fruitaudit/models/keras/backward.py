"""Walks the traced network from its scores back to its images, each operation by a rule of its own.

Each tensor gets one *signal*: a gradient, or whatever the rules make of it. Rules are written for the
operations that TensorFlow executes (Conv2D, Relu, ...), not for layers, so that nested, subclassed and functional
models are all the same to them. The network is only read: no layer, weight or registered gradient is touched.

An operation that the table of rules does not know is named in `CannotExplain`; none is ever skipped over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fruitaudit.errors import CannotExplain, NoInputGradient
from fruitaudit.models.keras import grouped
from fruitaudit.models.keras.backend import tf

Signals = Sequence[Any]
"""Tensors or None ("nothing arrives here")."""

_SHAPES = {"Shape", "ShapeN", "Rank", "Size", "ZerosLike", "OnesLike"}
"""What these return does not depend on the values of their inputs."""


@dataclass(frozen=True)
class TracedOperation:
    """One operation on the way from the images to the scores."""

    op: Any
    partner: Any
    """The same operation in another trace of the network, for rules that compare two inputs; else `op` itself."""
    needed: tuple[int, ...]
    """Which of its inputs depend on the images."""

    @property
    def kind(self) -> str:
        """What its rule is found under."""
        return str(self.op.type)

    @property
    def inputs(self) -> list[Any]:
        """The inputs that depend on the images."""
        return [self.op.inputs[i] for i in self.needed]

    @property
    def partner_inputs(self) -> list[Any]:
        """The same inputs in the other trace."""
        return [self.partner.inputs[i] for i in self.needed]


_KIND_NAMES = {"StatefulPartitionedCall": "StatefulPartitionedCall (a function that could not be unfolded)"}

Rule = Callable[[TracedOperation, Signals], Signals]
"""From the signals at the outputs of an operation to those at its `needed` inputs."""
BackwardRules = Mapping[str, Rule]


def steps_between(images: Any, scores: Any, partner: tuple[Any, Any] | None = None) -> list[TracedOperation]:
    """The operations that lead from `images` to `scores`, each after those that it depends on.

    `partner`: images and scores of another trace of the same network, to be walked in step with the first.
    """
    operations = _between(images, scores)
    partner_operations = operations if partner is None else _between(*partner)
    if [(op.type, needed) for op, needed in operations] != [(op.type, needed) for op, needed in partner_operations]:
        raise CannotExplain("two traces of this model differ in their operations, so that no reference can be "
                            "compared with an image; use integrated_gradients instead")  # fmt: skip
    return [
        TracedOperation(op, other, needed)
        for (op, needed), (other, _) in zip(operations, partner_operations, strict=True)
    ]


def _between(images: Any, scores: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Operations whose values depend on those of the images, with the inputs that do, in order."""
    depends = {images.ref()}
    needed: dict[Any, tuple[int, ...]] = {images.op: ()}
    for op in _in_order(scores.op, {images.op}, lambda op: op.inputs):
        needed[op] = () if op.type in _SHAPES else tuple(i for i, t in enumerate(op.inputs) if t.ref() in depends)
        if needed[op]:
            depends |= {t.ref() for t in op.outputs}
    # Once more along these inputs alone, so that constants of different make do not change the order.
    if not needed[scores.op]:
        return []
    ordered = _in_order(scores.op, {images.op}, lambda op: [op.inputs[i] for i in needed[op]])
    return [(op, needed[op]) for op in ordered]


def _in_order(op: Any, visited: set[Any], inputs_of: Callable[[Any], Sequence[Any]]) -> Iterator[Any]:
    """Every operation that `op` is made of, each after its inputs; networks are too deep to recurse."""
    stack = [(op, False)]
    while stack:
        op, entered = stack.pop()
        if entered:
            yield op
        elif op not in visited:
            visited.add(op)
            stack.append((op, True))
            stack += [(t.op, False) for t in inputs_of(op)]


def require_rules(steps: Sequence[TracedOperation], rules: BackwardRules, title: str, instead: str) -> None:
    """Raises CannotExplain with the operations that have no rule, and the method to use instead."""
    missing = sorted({step.kind for step in steps} - rules.keys())
    if missing:
        missing = [_KIND_NAMES.get(kind, kind) for kind in missing]
        raise CannotExplain(f"{title} has no rule for {', '.join(missing)} in this model; use {instead} instead")
    if not steps:
        raise CannotExplain(f"the model's scores do not depend on its images by any known operation; use {instead}")


def walk_back(steps: Sequence[TracedOperation], scores: Any, signal: Any, images: Any, rules: BackwardRules) -> Any:
    """The signal that arrives at `images` when `signal` starts at `scores`; zero where the rules let none through.

    Raises NoInputGradient where none can arrive, because the images become whole numbers.
    """
    signals_at: dict[Any, list[Any]] = {scores.ref(): [signal]}
    for step in reversed(steps):
        signals = [_sum_of(signals_at.pop(t.ref(), [])) for t in step.op.outputs]
        if all(s is None for s in signals):
            continue
        for tensor, contribution in zip(step.inputs, rules[step.kind](step, signals), strict=True):
            if contribution is not None:
                signals_at.setdefault(tensor.ref(), []).append(contribution)
    input_signal = _sum_of(signals_at.get(images.ref(), []))
    if input_signal is None and any(s.op.type == "Cast" and not s.op.outputs[0].dtype.is_floating for s in steps):
        raise NoInputGradient
    return tf.zeros_like(images) if input_signal is None else input_signal


def _sum_of(signals: list[Any]) -> Any:
    return None if not signals else signals[0] if len(signals) == 1 else tf.add_n(signals)


def replay(op: Any, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of the same operation on other inputs, in the graph that is being built."""
    attrs = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
    graph = tf.compat.v1.get_default_graph()
    with grouped.differentiable():
        kinds = [t.dtype for t in op.outputs]
        operation = graph.create_op(op.type, list(inputs), kinds, attrs=attrs, op_def=op.op_def)
    return list(operation.outputs)


def transposed(op: Any, inputs: Sequence[Any], signals: Signals, needed: Sequence[int]) -> list[Any]:
    """`signals` times the Jacobian of the operation at `inputs`, for its `needed` inputs."""
    # Copies have no other consumers, which keeps the search of tf.gradients to this one operation.
    copies = [tf.identity(t) if t.dtype.is_floating else t for t in inputs]
    outputs = replay(op, copies)
    pairs = [(y, s) for y, s in zip(outputs, signals, strict=True) if s is not None]
    gradients = tf.gradients([y for y, _ in pairs], [copies[i] for i in needed], [s for _, s in pairs])
    return [s if s is None else tf.convert_to_tensor(s) for s in gradients]


def gradient(step: TracedOperation, signals: Signals) -> Signals:
    """The ordinary chain rule."""
    input_signal = _without_values(step.op, step.needed[0], signals[0]) if len(step.needed) == 1 else None
    if input_signal is None:
        return transposed(step.op, step.op.inputs, signals, step.needed)
    input_signal.set_shape(step.inputs[0].shape)
    return [input_signal]


def _without_values(op: Any, i: int, signal: Any) -> Any:
    """The same for the commonest linear operations, from the shape of their input alone; None for every other one.

    A loop would hold on to the inputs themselves, the largest tensors of a network, as long as it runs.
    """
    if op.type in ("Conv2D", "DepthwiseConv2dNative") and i == 0:
        attrs = attributes(op, "strides", "padding", "explicit_paddings", "data_format", "dilations")
        x, kernel = op.inputs
        if op.type == "Conv2D":
            return grouped.input_gradient(signal, kernel, _shape(x), x.shape[grouped.channel_axis(attrs)], **attrs)
        return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=_shape(x), filter=kernel, out_backprop=signal, **attrs
        )
    if op.type in ("Pad", "PadV2") and i == 0:
        before = op.inputs[1][:, 0]
        return tf.slice(signal, before, _shape(op.inputs[0], before.dtype))
    if op.type in ("Reshape", "Squeeze", "ExpandDims"):
        return tf.reshape(signal, _shape(op.inputs[0]))
    if op.type == "BiasAdd" and i == 0:
        return signal
    if op.type in ("AddV2", "Sub", "Mul") and _keeps_shape(op, i):
        return signal * op.inputs[1 - i] if op.type == "Mul" else -signal if op.type == "Sub" and i == 1 else signal
    return None


def _keeps_shape(op: Any, i: int) -> bool:
    """Whether input `i` is not broadcast: the output has its shape, and the other input is the same for all images."""
    x, other, y = op.inputs[i].shape, op.inputs[1 - i].shape, op.outputs[0].shape
    if None in (x.rank, other.rank, y.rank) or x.rank < 2:
        return False
    same_for_all = other.rank < x.rank or (other.rank == x.rank and other[0] == 1)
    return same_for_all and x[1:].is_fully_defined() and x[1:] == y[1:] and x.rank == y.rank


def _shape(tensor: Any, kind: Any = tf.int32) -> Any:
    """The shape, read where the tensor is made: a loop is given the shape, and not the tensor."""
    with tensor.graph.as_default():
        return tf.shape(tensor, kind)


def attributes(op: Any, *names: str) -> dict[str, Any]:
    attrs = {name: op.get_attr(name) for name in names}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in attrs.items()}


def relu_gradient(step: TracedOperation, signals: Signals) -> Signals:
    """The same for a ReLU, without computing it again."""
    return [tf.raw_ops.ReluGrad(gradients=signals[0], features=step.op.outputs[0])]


def pooling_gradient(step: TracedOperation, signals: Signals) -> Signals:
    """The same for pooling by maximum, without computing it again."""
    attrs = attributes(step.op, "ksize", "strides", "padding", "explicit_paddings", "data_format")
    [x], [y], [signal] = step.op.inputs, step.op.outputs, signals
    return [tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=y, grad=signal, **attrs)]


def identity_rule(step: TracedOperation, signals: Signals) -> Signals:
    """Each input gets what arrived at the output of the same number, which it equals."""
    return [signals[i] if i < len(signals) else None for i in step.needed]


UNCHANGED: BackwardRules = dict.fromkeys(("Identity", "PreventGradient", "EnsureShape"), identity_rule)
"""Outputs equal inputs."""
TRANSPARENT: BackwardRules = dict.fromkeys(("IdentityN", "StopGradient"), identity_rule)
"""Outputs equal inputs, although their gradient is written by hand (swish) or withheld: what they are is walked."""

MOVES = ("Reshape", "Squeeze", "ExpandDims", "Transpose", "Pack", "Unpack", "ConcatV2", "Split", "SplitV", "Slice",
         "StridedSlice", "Pad", "PadV2", "MirrorPad", "Tile", "BroadcastTo", "GatherV2", "ReverseV2", "Roll", "Cast",
         "SpaceToBatchND", "BatchToSpaceND", "SpaceToDepth", "DepthToSpace")  # fmt: skip
"""Values are moved and stay what they are."""
SUMS = ("AddV2", "Add", "AddN", "BiasAdd", "Sub", "Neg", "Sum", "Mean", "AvgPool", "ResizeBilinear",
        "ResizeNearestNeighbor")  # fmt: skip
"""Linear in their values together, up to a constant."""
WEIGHTED = ("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MatMul")
PRODUCTS = ("Mul", "BatchMatMulV2", "BatchMatMulV3", "Einsum")
"""Linear in each factor."""
OF_ONE_NUMBER = (
    "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Softsign", "LeakyRelu", "Erf", "Erfc", "Exp", "Expm1", "Log",
    "Log1p", "Sqrt", "Rsqrt", "Reciprocal", "Inv", "Abs", "Pow", "ClipByValue", "Maximum", "Minimum",
)  # fmt: skip
"""Functions of each value by itself, apart from ReLUs; what else they are given are constants or depends on images."""
