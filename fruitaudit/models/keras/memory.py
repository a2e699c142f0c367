"""Memory before it is used: what an image takes on its way through a network, and how many images fit at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from fruitaudit.errors import ConfigError
from fruitaudit.models.keras import backward
from fruitaudit.records.results import MemoryPlan

MB = 10**6
DEFAULT = 5000 * MB
"""What an audit takes at most where nothing is said; on a small machine half of what it has."""
_PROGRAM = 1000 * MB
"""Python, TensorFlow and their libraries."""
_WEIGHTS = 3
"""Copies of the weights: as they are loaded, in the network, and in a network drawn anew."""
_FOR_PASSES = 0.75
"""Share of what is left; the rest is for images, masks and maps."""
_SAME_BUFFER = {"Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "PreventGradient"}
"""Operations that give what they got."""
_FUNCTIONS = {"PartitionedCall", "StatefulPartitionedCall"}
"""Operations that are a graph of their own: a SavedModel that could not be unfolded, a convolution in groups."""
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def bytes_per_image(images: Any, scores: Any) -> int:
    """In a graph: the size of all that is computed from one image, which a pass forward and back holds at most.

    An upper bound: of the 233 MB of ResNet50 at 224 x 224 a gradient pass held 55, the rules of LRP 190 (measured by
    `benchmarks/memory.py`). Axes that the trace leaves open count as 1, as that of the images.
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
    return 0 if tensor.shape.rank is None else prod(n or 1 for n in tensor.shape) * int(tensor.dtype.size)


@dataclass(frozen=True)
class Needs:
    """Of one model, in bytes."""

    image: int
    weights: int

    @property
    def program(self) -> int:
        """Whatever the number of images."""
        return _PROGRAM + _WEIGHTS * self.weights


def plan_memory(needs: Needs, batch_size: int, limit: int | None) -> MemoryPlan:
    """As many images at once as fit into the limit, at most `batch_size`; where it is fewer, a power of 2.

    Depends on nothing but the model, the setting and the machine's size, so that a run can be repeated byte by byte.
    Raises ConfigError where not one image fits into the limit that was set.
    """
    most = limit or min(DEFAULT, machine_memory() // 2)
    fit = int((most - needs.program) * _FOR_PASSES) // max(needs.image, 1)
    if fit < 1 and limit is not None:
        least = -(-int(needs.program + needs.image / _FOR_PASSES) // (100 * MB)) / 10
        raise ConfigError(f"memory: {most / MB:,.0f} MB is too little for this model, which takes "
                          f"{needs.program / MB:,.0f} MB with the program and {needs.image / MB:,.0f} MB more for an "
                          f"image; set at least {least:.1f}GB")  # fmt: skip
    images = batch_size if fit >= batch_size else 1 << (max(fit, 1).bit_length() - 1)
    expected = needs.program + images * needs.image
    return MemoryPlan(most / MB, needs.image / MB, images, expected / MB)


def machine_memory() -> int:
    """Bytes of memory that this machine, or the container on it, has in all."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUPS:
        text = Path(path).read_text().strip() if Path(path).is_file() else "max"
        if text.isdigit():
            sizes.append(int(text))
    return min(sizes)
