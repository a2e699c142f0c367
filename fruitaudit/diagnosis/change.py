"""One controlled change of images, all its random parameters drawn beforehand, and how changes are put in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.layers import Layers, cut
from fruitaudit.diagnosis.masks import Masks
from fruitaudit.diagnosis.material import Eye, Material
from fruitaudit.records.data import ByteArray, IntArray

CHUNK = 64
"""Images in memory as layers at once."""

STAGES = ("hue", "wetness", "scale", "several", "background", "occlusion", "light", "rotation", "grey", "blur",
          "noise", "jpeg", "control")  # fmt: skip
"""The order in which changes are applied: the object, its place, what is around it, the light, the camera."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Change:
    """`apply(layers, rows)` changes the layers of these rows of the material that it was measured for.

    The parameters of an image are the same whatever else is changed, so that effects are compared on equal terms.
    `dose` says how much, in words.
    """

    factor: str
    title: str
    dose: str
    apply: Callable[[Layers, IntArray], Layers]
    notes: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    """The classes that it changes; empty for all."""


Subset = frozenset[str]


def answers(
    eye: Eye, material: Material, masks: Masks, changes: Sequence[Change], subsets: Sequence[Subset]
) -> dict[Subset, Flags]:
    """Whether the model is right on every image under each subset of the changes: (N,) by subset."""
    return {subset: eye_said == material.labels
            for subset, eye_said in predictions(eye, material, masks, changes, subsets).items()}  # fmt: skip


def predictions(
    eye: Eye, material: Material, masks: Masks, changes: Sequence[Change], subsets: Sequence[Subset]
) -> dict[Subset, IntArray]:
    """What the model calls every image under each subset of the changes: (N,) by subset.

    Changes that several subsets begin with are made once.
    """
    ordered = sorted(changes, key=lambda change: STAGES.index(change.factor))
    parts: dict[Subset, list[IntArray]] = {subset: [] for subset in subsets}
    for start in range(0, len(material), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(material)))
        _walk(
            cut(material, masks, rows), rows, ordered, list(parts), lambda s, flat: parts[s].append(eye.predicted(flat))
        )
    return {subset: np.concatenate(part) for subset, part in parts.items()}


def _walk(
    layers: Layers, rows: IntArray, changes: Sequence[Change], wanted: Sequence[Subset],
    leaf: Callable[[Subset, ByteArray], None],
) -> None:  # fmt: skip
    if not wanted:
        return
    if not changes:
        leaf(wanted[0], layers.flat())
        return
    first, rest = changes[0], changes[1:]
    _walk(layers, rows, rest, [s for s in wanted if first.factor not in s], leaf)
    with_it = [s for s in wanted if first.factor in s]
    if with_it:
        _walk(first.apply(layers, rows), rows, rest, with_it, leaf)


def changed(material: Material, masks: Masks, changes: Sequence[Change], rows: IntArray) -> ByteArray:
    """The pictures of these rows under all of the changes."""
    layers = cut(material, masks, rows)
    for change in sorted(changes, key=lambda change: STAGES.index(change.factor)):
        layers = change.apply(layers, rows)
    return layers.flat()


def all_subsets(names: Sequence[str]) -> list[Subset]:
    """Every subset of the names, smallest first."""
    return [frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size)]
