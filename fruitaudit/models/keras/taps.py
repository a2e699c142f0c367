"""Inputs and outputs of every layer while a model is traced once.

`layer.output` of a Keras model is a tensor of some graph of the past: in a Sequential that was rebuilt it has no
gradient to today's output, in nested models it is out of reach, in subclassed ones it does not exist. So the calls
themselves are listened to, for the duration of one trace; what is heard are the tensors of that very trace.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras import grouped
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.savedmodel import HIDES

_NO_EVIDENCE = re.compile(
    r"Pool|Dropout|Flatten|Reshape|Permute|Cropp|Padding|UpSampl|Rescaling|^Normalization$|Resizing|^Random|^Identity$"
    r"|^Cast$|Noise"
)
"""Layers that only move, thin out or prepare values: no candidates for class activation maps."""

_lock = threading.RLock()


@dataclass
class Call:
    """One layer (or Keras operation) called once. `path` is its name below the model, e.g. "mobilenet/Conv_1"."""

    layer: Any
    path: str
    depth: int
    """0 for a layer of the model itself; the model's own call is not recorded."""
    inputs: list[Any]
    output: Any = None
    """The tensor that came out; None for a layer with several outputs."""

    @property
    def kind(self) -> str:
        return type(self.layer).__name__

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of the output, without the batch axis; () where there are several outputs."""
        return () if self.output is None else tuple(self.output.shape)[1:]

    @property
    def weighted(self) -> bool:
        return bool(getattr(self.layer, "weights", ()))


@dataclass
class Trace:
    """The calls of one trace: `begun` in the order in which layers were entered, `done` in which they returned."""

    begun: list[Call] = field(default_factory=list)
    done: list[Call] = field(default_factory=list)

    def find(self, path: str) -> Call | None:
        """The call of this path, or of the only layer with this name."""
        exact = [call for call in self.begun if call.path == path]
        same_name = [call for call in self.begun if call.path.rsplit("/", 1)[-1] == path]
        matches = exact or (same_name if len(same_name) == 1 else [])
        return matches[0] if matches and matches[0].output is not None else None


@contextmanager
def recorded() -> Iterator[Trace]:
    """Record every layer that this thread calls inside the block; the outermost call is the model."""
    trace, names, thread = Trace(), dict[str, int](), threading.get_ident()
    stack: list[tuple[Any, str]] = []
    original = keras.Operation.__call__

    def recording_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread or not _is_permanent(self, stack[-1][0] if stack else None):
            return original(self, *args, **kwargs)
        path = "/".join([*(name for _, name in stack[1:]), self.name])
        if stack:
            names[path] = names.get(path, 0) + 1
            path = path if names[path] == 1 else f"{path}#{names[path]}"
        call = Call(self, path, len(stack) - 1, [t for t in keras.tree.flatten((args, kwargs)) if tf.is_tensor(t)])
        if stack:
            trace.begun.append(call)
        stack.append((self, path.rsplit("/", 1)[-1]))
        try:
            output = original(self, *args, **kwargs)
        finally:
            stack.pop()
        tensors = [t for t in keras.tree.flatten(output) if tf.is_tensor(t)]
        call.output = tensors[0] if len(tensors) == 1 else None
        if stack:
            trace.done.append(call)
        return output

    with _lock:
        keras.Operation.__call__ = recording_call
        try:
            yield trace
        finally:
            keras.Operation.__call__ = original


@contextmanager
def unfolded() -> Iterator[None]:
    """What a network compiles on its own is traced as part of it, as Keras does with convolutions in groups."""
    was_eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        with grouped.differentiable():
            yield
    finally:
        tf.config.run_functions_eagerly(was_eager)


def _is_permanent(operation: Any, caller: Any) -> bool:
    """Whether an operation is part of the model: layers make others on the fly, under a new name in every trace."""
    return isinstance(operation, keras.Layer) or any(operation is o for o in getattr(caller, "operations", ()))


def cam_layer(calls: Sequence[Call]) -> str | None:
    """The last spatial activation, of calls in the order in which they returned; None where there is none.

    That is the last output of (height, width, channels) larger than 1 x 1, after addition, normalization and
    activation, but before pooling and flattening. Where tokens are computed after it, as in a vision transformer,
    there is none: the place of the evidence is then not where that activation shows it.
    """
    last: Call | None = None
    convolved = False
    for call in calls:
        shape = call.shape
        convolved |= len(shape) == 3 and call.weighted and not _NO_EVIDENCE.search(call.kind)
        if len(shape) == 2 and call.weighted:
            last = None
        elif convolved and len(shape) == 3 and shape[:2] != (1, 1) and not _NO_EVIDENCE.search(call.kind):
            # A model inside the model returns the tensor of its own last layer, which names it better.
            last = last if last is not None and last.output is call.output else call
    return last.path if last else None


def last_dense_input(trace: Trace) -> Any:
    """What the last dense layer sees (else the last layer with weights): the penultimate features."""
    weighted = [call for call in trace.done if call.weighted and call.inputs]
    dense = [call for call in weighted if isinstance(call.layer, keras.layers.Dense)]
    if not weighted:
        raise CannotExplain(
            "no layer of the model has weights, so it has no features to compare; use occlusion instead"
        )
    last = (dense or weighted)[-1]
    if isinstance(last.layer, keras.layers.TFSMLayer):
        raise CannotExplain(f"there are no features to compare: {HIDES}")
    return last.inputs[0]
