"""Memory per image in a pass through a traced network."""

from __future__ import annotations

from math import prod
from typing import Any

from fruitaudit.errors import ModelError
from fruitaudit.models.keras import backward
from fruitaudit.models.memory import MOST_NUMBERS

_SAME_BUFFER = {"Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "PreventGradient"}
"""Operations whose output is their input."""
_FUNCTIONS = {"PartitionedCall", "StatefulPartitionedCall"}
"""Operations that are a graph of their own: a SavedModel that could not be unfolded, a convolution in groups."""


def bytes_per_image(images: Any, scores: Any) -> int:
    """In a graph: the size of all that is computed from one image, which a pass forward and back holds at most.

    An upper bound: of the 233 MB of ResNet50 at 224 x 224 a gradient pass held 55, the rules of LRP 190 (measured by
    `benchmarks/memory.py`). Axes that the trace leaves open count as 1, as that of the images. Raises ModelError where
    one tensor is too large for TensorFlow.
    """
    return sum(_size_of(step.op) for step in backward.steps_between(images, scores))


def _size_of(op: Any) -> int:
    if op.type in _SAME_BUFFER:
        return 0
    function = op.graph._get_function(op.get_attr("f").name) if op.type in _FUNCTIONS else None
    body = getattr(function, "graph", None)
    if body is None:
        return sum(_size(tensor) for tensor in op.outputs)
    # What is not computed from the images has no open axis.
    inside = [t for o in body.get_operations() if o.type not in _SAME_BUFFER and o.inputs for t in o.outputs]
    return sum(_size(t) for t in inside if t.shape.rank and t.shape[0] is None) + sum(
        _size_of(o) for o in body.get_operations() if o.type in _FUNCTIONS
    )


def _size(tensor: Any) -> int:
    if tensor.shape.rank is None:
        return 0
    numbers = prod(n or 1 for n in tensor.shape)
    if numbers > MOST_NUMBERS:
        raise ModelError(f"the operation {tensor.op.name!r} makes {numbers:,} numbers of an image; no layer of an "
                         "image classifier is that large: do not use it")  # fmt: skip
    return numbers * int(tensor.dtype.size)
