"""Layer-wise relevance propagation: what each tensor carries back is m with relevance R = m * value.

With m instead of R, whatever passes relevance in proportion to its contributions (sums, means, shortcuts, maxima, moved
values) has the rule of the gradient, and only weighted layers need one of their own. Below the first weighted layers
the signal is R itself, because their rules may give relevance to a value of 0; preparation of the input passes it on.

Rules for a block z_k = sum_j a_j w_jk + b_k with relevance R_k, ()+ and ()- the positive and negative parts:
- zero: R_j = sum_k a_j w_jk / z_k R_k;  epsilon e: z_k + e sign(z_k) instead of z_k (Bach 2015, eq. 58).
- z+: R_j = sum_k (a_j w_jk)+ / sum_j (a_j w_jk)+ R_k, b_k+ in the sum;  alpha a: a times that, minus (a - 1) times the
  same with negative parts (Bach 2015, eq. 60).
- gamma g: a_j w_jk + g (a_j w_jk)+ instead of a_j w_jk, b alike (Montavon 2019, sec. 10.2.3); negative parts where
  z_k < 0, which ReLUs never pass on but logits do.
- flat: all a_j w_jk taken as 1, which says nothing where a unit sees every pixel (dense layers have no such rule);
  box: x_j w_jk - l_j w_jk+ - h_j w_jk- for values in l..h (Montavon 2019, table 10.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras import backward
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.backward import BackwardRules, Signals, TracedOperation
from fruitaudit.models.keras.blocks import TracedBlock, does_not_go_below_zero, with_blocks
from fruitaudit.models.rules import LrpRule

TITLE, INSTEAD = "layer-wise relevance propagation", "integrated_gradients"
_GATES = ("Sigmoid", "Tanh", "Erf", "Erfc", "Relu6")
_ACTIVATIONS = ("Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf",
                "Erfc")  # fmt: skip
_RESIZES = ("ResizeBilinear", "ResizeNearestNeighbor")
_PREPARES = ("AddV2", "Add", "Sub", "Mul", "RealDiv", "BiasAdd", "Neg")


@dataclass
class Propagation:
    """One trace of the rules; `absorbed` collects the relevance of each image that stays inside, (N,)."""

    rules: dict[str, LrpRule]
    """By kind of block: "dense", "convolution", and "first" for blocks that see the images."""
    ends: tuple[Any, Any]
    """The lowest and highest values of an image, (C,) each."""
    absorbed: list[Any] = field(default_factory=list)

    def run(self, images: Any, scores: Any, seed: Any) -> Any:
        """Relevance (N, H, W, C) of the scores chosen by `seed`."""
        self._n_images = tf.shape(images)[0]
        steps = with_blocks(backward.steps_between(images, scores))
        self._range = {images.ref(): tuple(tf.zeros_like(images) + end for end in self.ends)}
        self._prepared_tensors = {images.ref()}
        marked_steps = [self._mark_preparation(step) for step in steps]
        # Only ReLUs read these: where they are not above 0, nothing comes back to them.
        not_by_relus = {t.ref() for step in marked_steps if step.kind not in ("Relu", "Relu6") for t in step.inputs}
        self._cut_off = {t.ref() for step in marked_steps for t in step.op.outputs} - not_by_relus - {scores.ref()}
        table: BackwardRules = {
            **_RULES,
            **dict.fromkeys(("dense", "convolution"), self._block),
            "preparation": _preparation_rule,
        }
        backward.require_rules(marked_steps, table, TITLE, INSTEAD)
        return backward.walk_back(marked_steps, scores, seed, images, {k: self._at_border(r) for k, r in table.items()})

    def _mark_preparation(self, step: TracedOperation) -> TracedOperation:
        """A step that only prepares the images, marked as such."""
        prepares = (len(step.needed) == 1 and step.kind in _PREPARES) or step.kind in (
            *backward.MOVES,
            *_RESIZES,
            "Identity",
        )
        if (
            isinstance(step, TracedBlock)
            or not prepares
            or not all(t.ref() in self._prepared_tensors for t in step.inputs)
        ):
            return step
        self._prepared_tensors |= {t.ref() for t in step.op.outputs}
        if len(step.needed) == 1:
            self._prepare_range(step)
        return _Preparation(step.op, step.partner, step.needed)

    def _prepare_range(self, step: TracedOperation) -> None:
        [i] = step.needed
        low, high = self._range[step.op.inputs[i].ref()]
        ends = [
            backward.replay(step.op, [end if j == i else t for j, t in enumerate(step.op.inputs)])[0]
            for end in (low, high)
        ]
        self._range[step.op.outputs[0].ref()] = (tf.minimum(*ends), tf.maximum(*ends))

    def _at_border(self, rule: backward.Rule) -> backward.Rule:
        """The rule, with m turned into R where it reaches the images or what prepares them."""

        def bordered(step: TracedOperation, signals: Signals) -> Signals:
            input_signals = rule(step, signals)
            if step.kind == "preparation" or (isinstance(step, TracedBlock) and self._is_first(step)):
                return input_signals
            return [
                s if s is None or t.ref() not in self._prepared_tensors else s * t
                for s, t in zip(input_signals, step.inputs, strict=True)
            ]

        return bordered

    def _is_first(self, block: TracedBlock) -> bool:
        return block.inputs[0].ref() in self._prepared_tensors

    def _block(self, step: TracedOperation, signals: Signals) -> Signals:
        assert isinstance(step, TracedBlock)
        first = self._is_first(step)
        rule = self.rules["first" if first else step.kind]
        a, (w, b), z = step.inputs[0], step.parameters(), step.op.outputs[0]
        relevance = signals[0] * z
        if rule.name == "flat":
            if step.kind == "dense":
                raise CannotExplain("the first layer of this model is dense: the rule flat would share its relevance "
                                    f"evenly among all pixels; set first: box, or use {INSTEAD} instead")  # fmt: skip
            return [self._flat(step, a, w, relevance)]
        if rule.name == "box":
            return [self._box(step, a, w, relevance)]
        m = _OF_BLOCKS[rule.name](self, step, a, w, b, z, relevance, rule.number)
        return [a * m if first else m]

    def _absorb(self, shares: Any, bias: Any) -> None:
        """Relevance that stays here: `shares` R_k / z_k of it times the bias b_k."""
        shares, bias = (tf.cast(t, tf.float32) for t in (shares, bias))
        if bias.shape.rank and bias.shape.num_elements() == bias.shape[-1] == shares.shape[-1]:
            # The same at all places: their shares are added up first, as a product with so short a vector is slow.
            shares = tf.reduce_sum(tf.reshape(shares, (self._n_images, -1, bias.shape[-1])), axis=1)
            bias = tf.reshape(bias, (1, -1))
        self.absorbed.append(tf.reduce_sum(tf.reshape(shares * bias, (self._n_images, -1)), axis=1))

    def _epsilon(self, block: TracedBlock, a: Any, w: Any, b: Any, z: Any, relevance: Any, epsilon: float) -> Any:
        share = _divided(relevance, z, epsilon)
        self._absorb(share, b)
        return block.back(share, w)

    def _gamma(self, block: TracedBlock, a: Any, w: Any, b: Any, z: Any, relevance: Any, gamma: float) -> Any:
        positive = tf.cast(z >= 0, z.dtype)
        more = positive * _signed_part(block, a, w, b, 1) + (1 - positive) * _signed_part(block, a, w, b, -1)
        share = _divided(relevance, z + gamma * more)
        bias = b + gamma * (positive * tf.nn.relu(b) - (1 - positive) * tf.nn.relu(-b))
        self._absorb(share, bias)
        up, down = share * positive, share * (1 - positive)
        return block.back(share, w) + gamma * (_signed_back(block, a, w, up, 1) + _signed_back(block, a, w, down, -1))

    def _alpha(self, block: TracedBlock, a: Any, w: Any, b: Any, z: Any, relevance: Any, alpha: float) -> Any:
        total = 0.0
        for factor, sign in ((alpha, 1), (1 - alpha, -1)):
            if factor:
                part = _signed_part(block, a, w, b, sign)
                share = factor * _divided(relevance, part)
                self._absorb(share, sign * tf.nn.relu(sign * b))
                # A unit without any contribution of this sign has nobody to hand its relevance to, if it has any.
                if sign < 0 or z.ref() not in self._cut_off:
                    self._absorb(factor * relevance, tf.cast(part == 0, part.dtype))
                total = total + _signed_back(block, a, w, share, sign)
        return total

    def _z_plus(self, block: TracedBlock, a: Any, w: Any, b: Any, z: Any, relevance: Any, _: float) -> Any:
        return self._alpha(block, a, w, b, z, relevance, 1.0)

    def _flat(self, block: TracedBlock, a: Any, w: Any, relevance: Any) -> Any:
        ones = tf.ones_like(w)
        example = a if block.weighted.op.type == "Conv2DBackpropInput" else a[:1]  # that one knows the number of images
        count = block.linear(tf.ones_like(example), ones)
        share = relevance * _divided(tf.ones_like(count), count)
        if block.sees_all_channels:  # all outputs of a place hand back to the same inputs
            return block.back(tf.reduce_sum(share, -1, keepdims=True), ones[..., :1])
        return block.back(share, ones)

    def _box(self, block: TracedBlock, a: Any, w: Any, relevance: Any) -> Any:
        if a.ref() not in self._range:
            raise CannotExplain("the box rule does not know the lowest and highest values of this model's first "
                                "layer; use the rule flat instead")  # fmt: skip
        low, high = self._range[a.ref()]
        up, down = tf.nn.relu(w), -tf.nn.relu(-w)
        z = block.linear(a, w) - block.linear(low, up) - block.linear(high, down)
        share = _divided(relevance, z)
        return a * block.back(share, w) - low * block.back(share, up) - high * block.back(share, down)


_OF_BLOCKS: dict[str, Callable[..., Any]] = {
    "zero": Propagation._epsilon,
    "epsilon": Propagation._epsilon,
    "gamma": Propagation._gamma,
    "z+": Propagation._z_plus,
    "alpha": Propagation._alpha,
}


class _Preparation(TracedOperation):
    @property
    def kind(self) -> str:
        return "preparation"


def _preparation_rule(step: TracedOperation, signals: Signals) -> Signals:
    """Relevance of a prepared value is that of the value; moved and mixed values take theirs along, share by share."""
    return [signals[0]] if step.op.type in (*_PREPARES, "Identity") else backward.gradient(step, signals)


def _divided(relevance: Any, by: Any, epsilon: float = 0.0) -> Any:
    """relevance / (by + epsilon sign(by)), 0 where that is 0, computed in float32.

    Without an epsilon, small values lose no relevance; what meets an exact 0 shows in the conservation error.
    """
    wide = tf.cast(by, tf.float32)
    if epsilon:
        wide += tf.where(wide < 0, -epsilon, epsilon)
    return tf.cast(tf.math.divide_no_nan(tf.cast(relevance, tf.float32), wide), by.dtype)


def _signed_part(block: TracedBlock, a: Any, w: Any, b: Any, sign: int) -> Any:
    """sum_j (a_j w_jk)+ + b_k+, or with `sign` -1 the sum of the negative parts."""
    same, other = sign * tf.nn.relu(sign * w), -sign * tf.nn.relu(-sign * w)
    total = block.linear(tf.nn.relu(a), same) + sign * tf.nn.relu(sign * b)
    return total if does_not_go_below_zero(a) else total + block.linear(-tf.nn.relu(-a), other)


def _signed_back(block: TracedBlock, a: Any, w: Any, share: Any, sign: int) -> Any:
    """m at a, where only positive (`sign` 1) or negative contributions count."""
    same, other = sign * tf.nn.relu(sign * w), -sign * tf.nn.relu(-sign * w)
    multiplier = block.back(share, same)
    return multiplier if does_not_go_below_zero(a) else tf.where(a < 0, block.back(share, other), multiplier)


def _activation(step: TracedOperation, signals: Signals) -> Signals:
    """Relevance passes through unchanged: m y / x."""
    return [signals[0] * _divided(step.op.outputs[0], step.op.inputs[0])]


def _product(step: TracedOperation, signals: Signals) -> Signals:
    """By a constant: the gradient. By a gate: all relevance to what it gates (Arras 2019, arXiv:1909.12114)."""
    if len(step.needed) == 1:
        return backward.gradient(step, signals)
    gates = [_is_gate(t) for t in step.op.inputs]
    if gates[0] == gates[1]:
        raise CannotExplain(f"{TITLE} has no rule for {step.kind} of two signals in this model; use {INSTEAD} instead")
    input_signals = backward.gradient(step, signals)
    return [None if gate else s for gate, s in zip(gates, input_signals, strict=True)]


def _is_gate(tensor: Any) -> bool:
    op = tensor.op
    while op.type in ("Identity", "Reshape", "AddV2", "Mul", "RealDiv", "Cast"):
        op = op.inputs[0].op if op.inputs[0].op.type not in ("Const", "ReadVariableOp") else op.inputs[1].op
    return op.type in _GATES


def _quotient(step: TracedOperation, signals: Signals) -> Signals:
    if step.needed != (0,):
        raise CannotExplain(f"{TITLE} has no rule for RealDiv by a signal in this model; use {INSTEAD} instead")
    return backward.gradient(step, signals)


_RULES: BackwardRules = {
    **backward.UNCHANGED,
    "IdentityN": backward.identity_rule,
    **dict.fromkeys((*backward.MOVES, *backward.SUMS, "Max"), backward.gradient),
    "Relu": backward.relu_gradient,
    "MaxPool": backward.pooling_gradient,
    **dict.fromkeys(_ACTIVATIONS, _activation),
    "Mul": _product,
    "RealDiv": _quotient,
}


def relevance(model: Any, images: Any, weights: Any, low: Any, high: Any, rules: dict[str, LrpRule]) -> tuple[Any, ...]:
    """In a graph: relevance (N, H, W, C) of the weighted (N, K) sum of logits, that sum (N,), and what stays inside."""
    logits = model.in_graph(images).logits
    propagation = Propagation(rules, (low, high))
    input_relevance = propagation.run(images, logits, weights)
    scores = tf.reduce_sum(logits * weights, axis=1)
    return input_relevance, scores, tf.add_n([tf.zeros_like(scores), *propagation.absorbed])
