"""Finds the logits: the numbers z with softmax(z) equal to the model's probabilities.

The graph of one call is walked back from the output through operations that change nothing. Whatever is found is
checked on random images before it is used, and told in one sentence.

- Softmax: its input. Log-softmax: its output. Neither, and the outputs are no probabilities: the outputs.
- Sigmoid of one unit z, p = 1 / (1 + exp(-z)): two classes with logits (-z/2, +z/2). Their softmax is exactly
  (1 - p, p), and both classes have a gradient, of opposite sign.
- Probabilities whose softmax is out of reach (a SavedModel hides it): log p, which differs from the logits by a
  number an image, log-sum-exp(z). Its softmax is p, but its gradient is that of log p: dz_c - sum_k p_k dz_k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fruitaudit.errors import ModelError
from fruitaudit.models.backend import keras, tf
from fruitaudit.records.data import FloatArray
from fruitaudit.runtime import Streams

_TINY = 1e-37
"""Smallest probability whose logarithm is taken; float32 knows no normal number below 1.2e-38."""
_PASS_THROUGH = {"Identity", "Cast", "Reshape", "Squeeze", "EnsureShape", "StopGradient", "PreventGradient"}

Way = Literal["softmax", "sigmoid", "outputs", "unit", "log_softmax", "log_p", "log_odds"]
_SAYS: dict[Way, str] = {
    "softmax": "the input of the model's own softmax",
    "sigmoid": "the input z of the model's one sigmoid unit, read as two classes with logits -z/2 and +z/2",
    "outputs": "the model's outputs, which are no probabilities: softmax is ours",
    "unit": "the model's one output z, which is no probability, read as two classes with logits -z/2 and +z/2",
    "log_softmax": "the model's outputs, which are log probabilities",
    "log_p": "the logarithm of the model's probabilities, because its softmax cannot be reached; gradients are those "
    "of log p",
    "log_odds": "log(p / (1 - p)) of the model's one output, because its sigmoid cannot be reached, read as two "
    "classes with half of it each, of opposite sign",
}


@dataclass(frozen=True)
class Head:
    """How a model's output becomes probabilities and logits."""

    way: Way
    n_classes: int
    source: str

    @property
    def kind(self) -> str:
        """As `ModelSummary.head` has it: "softmax", "logits" or "sigmoid"."""
        kinds = {"softmax": "softmax", "log_p": "softmax", "outputs": "logits", "log_softmax": "logits"}
        return kinds.get(self.way, "sigmoid")

    def read(self, outputs: Any) -> tuple[Any, Any]:
        """Inside a trace: (probabilities, logits), both (N, K) float32."""
        output = only_output(outputs)
        logits = _logits(output, self.way)
        # In float16 the model's own probabilities do not add up to 1; those of the checked logits do.
        own = self.way == "softmax" and output.dtype == tf.float32
        return (output if own else tf.nn.softmax(logits)), logits


def only_output(outputs: Any) -> Any:
    """The one (N, K) tensor a classifier returns."""
    tensors = keras.tree.flatten(outputs)
    if len(tensors) != 1:
        raise ModelError(f"the model has {len(tensors)} outputs; an image classifier has one: save a model that "
                         "returns only the class scores")  # fmt: skip
    [tensor] = tensors
    if tensor.shape.rank != 2 or tensor.shape[1] is None:
        raise ModelError(f"the model's output has the shape {tensor.shape}, not (images, classes): it is not a "
                         "classifier of whole images")  # fmt: skip
    return tensor


def find_head(network: Any, input_shape: tuple[int, int, int]) -> Head:
    """Find, verify and describe the head of a Keras model. Raises ModelError where it is no classifier."""
    ways: list[Way] = []
    units: list[int] = []

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, *input_shape), tf.float32)])
    def output_of(images: Any) -> Any:
        output = only_output(network(images, training=False))
        ways.append(_way_in(output))
        units.append(int(output.shape[1]))
        return output

    probe = _probe(input_shape)
    output = output_of(probe).numpy()
    n_units, low_precision = units[-1], output.dtype != np.float32
    own = output.astype(np.float32)
    finite = np.isfinite(own).all(axis=1)
    if not finite[: len(own) // 2].all():
        raise ModelError("the model returns NaN or infinity for random images between 0 and 1: it is damaged")
    own = own[finite]
    way = _choose(ways[-1], own, n_units)
    tolerance = 1e-2 if low_precision else 1e-4
    for candidate in dict.fromkeys((way, "log_odds" if n_units == 1 else "log_p")):
        worst = 0.0 if candidate in ("outputs", "unit") else _worst(network, candidate, probe, input_shape)
        if worst <= tolerance:
            source = _SAYS[candidate]
            if candidate not in ("outputs", "unit"):
                source += (
                    f"; on {len(probe)} random images their softmax differs from the output by at most {worst:.1g}"
                )
            return Head(candidate, max(n_units, 2), source)
    raise ModelError(f"softmax of the logits found differs from the model's output by {worst:.1e}: this head is not "
                     "understood; save the model with a plain softmax or logits output")  # fmt: skip


def _way_in(output: Any) -> Way:
    """What the graph says of the output, "log_p" standing for: nothing."""
    name = _producer(output).op.type
    known: dict[str, Way] = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log_softmax"}
    if name in ("PartitionedCall", "StatefulPartitionedCall"):
        return "log_p"
    return known.get(name, "outputs")


def _choose(found: Way, own: FloatArray, n_units: int) -> Way:
    """The way to the logits, from the operation found and the outputs of the probe."""
    inside = bool((own >= 0).all() and (own <= 1).all())
    adds_up = inside and bool(np.allclose(own.sum(axis=1), 1, atol=1e-2))
    if n_units == 1:
        if found in ("softmax", "log_softmax"):
            raise ModelError("the model has one softmax unit, which is always 1: it cannot tell classes apart; a "
                             "classifier of two classes has one sigmoid unit or two softmax units")  # fmt: skip
        return "sigmoid" if found == "sigmoid" else "log_odds" if inside else "unit"
    if found == "sigmoid" or (inside and not adds_up and found == "log_p"):
        raise ModelError(f"the model has {n_units} sigmoid units that do not exclude each other: it is not a "
                         "single-label classifier, and only those can be audited")  # fmt: skip
    if found in ("softmax", "log_softmax"):
        return found
    return "log_p" if adds_up else "outputs"


def _producer(tensor: Any) -> Any:
    """The first tensor, walking back, whose operation is more than a change of type or name."""
    while tensor.op.type in _PASS_THROUGH and tensor.op.inputs:
        before = tensor.op.inputs[0]
        if before.shape.rank != tensor.shape.rank or not before.shape.is_compatible_with(tensor.shape):
            break
        tensor = before
    return tensor


def _logits(output: Any, way: Way) -> Any:
    if way in ("softmax", "sigmoid"):
        z = tf.cast(_producer(output).op.inputs[0], tf.float32)
    elif way == "log_p":
        z = tf.math.log(tf.maximum(tf.cast(output, tf.float32), _TINY))
    elif way == "log_odds":
        p = tf.cast(output, tf.float32)
        z = tf.math.log(tf.maximum(p, _TINY)) - tf.math.log(tf.maximum(1 - p, _TINY))
    else:
        z = tf.cast(output, tf.float32)
    return tf.concat([-z / 2, z / 2], axis=1) if way in ("sigmoid", "unit", "log_odds") else z


def _worst(network: Any, way: Way, probe: FloatArray, input_shape: tuple[int, int, int]) -> float:
    """Largest |softmax(logits) - what the output itself says| over the probe."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, *input_shape), tf.float32)])
    def both(images: Any) -> tuple[Any, Any]:
        output = only_output(network(images, training=False))
        return tf.cast(output, tf.float32), tf.nn.softmax(_logits(output, way))

    own, ours = (array.numpy() for array in both(probe))
    if way == "log_softmax":
        own = np.exp(own)
    if way in ("sigmoid", "log_odds"):
        ours = ours[:, 1:]
    finite = np.isfinite(own).all(axis=1)
    return float(np.abs(own[finite] - ours[finite]).max())


def _probe(input_shape: tuple[int, int, int]) -> FloatArray:
    """Eight random images: four in 0..1, four in 0..255."""
    values = Streams(0).rng("probe").random((8, *input_shape), dtype=np.float32)
    values[4:] *= 255
    return values
