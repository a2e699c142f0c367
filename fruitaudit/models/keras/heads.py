"""Finds the logits: the numbers z with softmax(z) equal to the model's probabilities.

The graph of one call is walked back from the output through operations that change nothing. Whatever is found is
checked on random images before it is used, and told in one sentence.

- Softmax: its input. Log-softmax: its output. Neither, and the outputs are no probabilities: the outputs.
- Sigmoid of one unit z, p = 1 / (1 + exp(-z)): two classes with logits (-z/2, +z/2). Their softmax is exactly
  (1 - p, p), and both classes have a gradient, of opposite sign.
- Probabilities whose softmax is out of reach (a SavedModel hides it): log p, which differs from the logits by a
  constant per image, log-sum-exp(z). Its softmax is p, but its gradient is that of log p: dz_c - sum_k p_k dz_k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.records.data import FloatArray
from fruitaudit.runtime.streams import Streams

TINY = 1e-37
"""Smallest probability whose logarithm is taken; float32 knows no normal number below 1.2e-38."""
_PROBE_BYTES = 2 * 10**9
"""Memory of all images of the probe at once; beyond that they go one by one."""
_PASS_THROUGH = {"Identity", "Cast", "Reshape", "Squeeze", "EnsureShape", "StopGradient", "PreventGradient"}

LogitRule = Literal["softmax", "sigmoid", "outputs", "unit", "log_softmax", "log_p", "log_odds"]
_DESCRIPTIONS: dict[LogitRule, str] = {
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


OutputOperation = Literal["softmax", "sigmoid", "log_softmax", "other", "hidden"]
"""The operation that made a model's output; "hidden" inside a function that cannot be looked into."""
_OPERATIONS: dict[str, OutputOperation] = {
    "Softmax": "softmax",
    "Sigmoid": "sigmoid",
    "LogSoftmax": "log_softmax",
    "PartitionedCall": "hidden",
    "StatefulPartitionedCall": "hidden",
}


@dataclass(frozen=True)
class Head:
    """How a model's output becomes probabilities and logits."""

    rule: LogitRule
    n_classes: int
    source: str

    @property
    def kind(self) -> str:
        """As `ModelSummary.head` has it: "softmax", "logits" or "sigmoid"."""
        kinds = {"softmax": "softmax", "log_p": "softmax", "outputs": "logits", "log_softmax": "logits"}
        return kinds.get(self.rule, "sigmoid")

    def read(self, outputs: Any) -> tuple[Any, Any]:
        """Inside a trace: (probabilities, logits), both (N, K) float32."""
        output = only_output(outputs)
        logits = _logits(self.rule, output, output_operation(output)[1])
        # In float16 the model's own probabilities do not add up to 1; those of the checked logits do.
        is_own = self.rule == "softmax" and output.dtype == tf.float32
        return (output if is_own else tf.nn.softmax(logits)), logits


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
    if tensor.shape[1] == 0:
        raise ModelError("the model has no class: its output is empty")
    return tensor


def output_operation(output: Any) -> tuple[OutputOperation, Any]:
    """Inside a trace: the operation that made the output, and what a softmax or sigmoid was made of."""
    tensor = output
    while tensor.op.type in _PASS_THROUGH and tensor.op.inputs:
        before = tensor.op.inputs[0]
        if before.shape.rank != 2 or before.shape[1] != output.shape[1]:
            break
        tensor = before
    operation = _OPERATIONS.get(tensor.op.type, "other")
    return operation, tensor.op.inputs[0] if operation in ("softmax", "sigmoid") else output


def probe(input_shape: tuple[int, int, int]) -> FloatArray:
    """Eight random images to check a head on: four in 0..1, four in 0..255."""
    values = Streams(0).rng("probe").random((8, *input_shape), dtype=np.float32)
    values[4:] *= 255
    return values


def on_probe(function: Any, input_shape: tuple[int, int, int], size_of_image: int) -> tuple[Any, Any]:
    """A compiled function's two results on the probe, image by image where one is large."""
    images = probe(input_shape)
    at_once = len(images) if size_of_image * len(images) <= _PROBE_BYTES else 1
    parts = [function(images[i : i + at_once]) for i in range(0, len(images), at_once)]
    first, second = zip(*parts, strict=True)
    return tf.concat(first, axis=0), tf.concat(second, axis=0)


def choose_head(operation: OutputOperation, output: Any, inner: Any) -> Head:
    """The head, from what the graph shows (`output_operation`) and the model's outputs on the probe; verified on them.

    Raises ModelError where the model is no single-label classifier.
    """
    outputs = output.numpy().astype(np.float32)
    finite = np.isfinite(outputs).all(axis=1)
    if not finite[: len(outputs) // 2].all():
        raise ModelError("the model returns NaN or infinity for random images between 0 and 1: it is damaged")
    n_units, tolerance = outputs.shape[1], 1e-4 if output.dtype == tf.float32 else 1e-2
    first = _choose(operation, outputs[finite])
    for rule in dict.fromkeys((first, "log_odds" if n_units == 1 else "log_p")):
        if rule in ("outputs", "unit"):
            return Head(rule, max(n_units, 2), _DESCRIPTIONS[rule])
        worst = _difference(rule, outputs, _logits(rule, output, inner))
        if worst <= tolerance:
            checked = f"on {len(outputs)} random images their softmax differs from the output by at most {worst:.1g}"
            return Head(rule, max(n_units, 2), f"{_DESCRIPTIONS[rule]}; {checked}")
    raise ModelError(f"softmax of the logits found differs from the model's output by {worst:.1g}: this head is not "
                     "understood; save the model with a plain softmax or logits output")  # fmt: skip


def _choose(operation: OutputOperation, outputs: FloatArray) -> LogitRule:
    n_units = outputs.shape[1]
    inside = bool((outputs >= 0).all() and (outputs <= 1).all())
    adds_up = inside and bool(np.allclose(outputs.sum(axis=1), 1, atol=1e-2))
    if n_units == 1:
        if operation in ("softmax", "log_softmax"):
            raise ModelError("the model has one softmax unit, which is always 1: it cannot tell classes apart; a "
                             "classifier of two classes has one sigmoid unit or two softmax units")  # fmt: skip
        return "sigmoid" if operation == "sigmoid" else "log_odds" if inside else "unit"
    if operation == "sigmoid" or (operation == "hidden" and inside and not adds_up):
        raise ModelError(f"the model has {n_units} sigmoid units that do not exclude each other: it is not a "
                         "single-label classifier, and only those can be audited")  # fmt: skip
    if operation == "softmax" or operation == "log_softmax":
        return operation
    return "log_p" if adds_up else "outputs"


def _logits(rule: LogitRule, output: Any, inner: Any) -> Any:
    """(N, K) float32, in a trace or outside of one."""
    z = tf.cast(inner if rule in ("softmax", "sigmoid") else output, tf.float32)
    if rule == "log_p":
        return tf.math.log(tf.maximum(z, TINY))
    if rule == "log_odds":
        z = tf.math.log(tf.maximum(z, TINY)) - tf.math.log(tf.maximum(1 - z, TINY))
    return tf.concat([-z / 2, z / 2], axis=1) if rule in ("sigmoid", "unit", "log_odds") else z


def _difference(rule: LogitRule, outputs: FloatArray, logits: Any) -> float:
    """Largest |softmax(logits) - what the output itself says|."""
    probabilities = tf.nn.softmax(logits).numpy()
    model_probabilities = np.exp(outputs) if rule == "log_softmax" else outputs
    finite = np.isfinite(model_probabilities).all(axis=1)
    return float(np.abs(model_probabilities - probabilities[:, -model_probabilities.shape[1] :])[finite].max())
