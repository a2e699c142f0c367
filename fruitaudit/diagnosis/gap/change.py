"""Changes put in a row, and what the model answers under each subset of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

import numpy as np

from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.contrast import MaskedSplit
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.diagnosis.images.material import PixelClassifier
from fruitaudit.records.data import ByteArray, DoubleArray, IntArray

CHUNK = 64
"""Images in memory as layers at once."""

Subset = frozenset[str]
T = TypeVar("T")


@dataclass(frozen=True)
class PredictionCache:
    """What the model calls the images of one side under subsets of the changes; each subset is tried once."""

    eye: PixelClassifier
    side: MaskedSplit
    changes: tuple[Change, ...]
    _known: dict[Subset, IntArray] = field(default_factory=dict)

    def called(self, subsets: Iterable[Subset]) -> dict[Subset, IntArray]:
        """(N,) by subset."""
        wanted = list(dict.fromkeys(subsets))
        new = [subset for subset in wanted if subset not in self._known]
        if new:
            self._known.update(predictions(self.eye, self.side, self.changes, new))
        return {subset: self._known[subset] for subset in wanted}

    def right(self, subsets: Iterable[Subset]) -> dict[Subset, DoubleArray]:
        """(N,) by subset, 1.0 where the model is right, else 0.0."""
        labels = self.side.material.labels
        return {subset: (said == labels).astype(np.float64) for subset, said in self.called(subsets).items()}


def predictions(
    eye: PixelClassifier, side: MaskedSplit, changes: Sequence[Change], subsets: Sequence[Subset]
) -> dict[Subset, IntArray]:
    """What the model calls every image under each subset of the changes: (N,) by subset.

    Changes that several subsets begin with are made once.
    """
    ordered, cutouts = in_order(changes), side.cutouts

    def of_chunk(rows: IntArray) -> dict[Subset, IntArray]:
        found: dict[Subset, IntArray] = {}

        def ask(subset: Subset, pixels: ByteArray) -> None:
            found[subset] = eye.predicted(pixels)

        _walk(cutouts[rows], rows, ordered, subsets, ask)
        return found

    parts = in_chunks(len(side.material), of_chunk)
    return {subset: np.concatenate([part[subset] for part in parts]) for subset in subsets}


def in_chunks(n: int, work: Callable[[IntArray], T]) -> list[T]:
    """`work` done for rows 0..n-1, chunk by chunk in order; image operations of two chunks run beside each other."""
    chunks = [np.arange(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1), thread_name_prefix="changes") as pool:
        return list(pool.map(work, chunks))


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


def changed(side: MaskedSplit, changes: Sequence[Change], rows: IntArray) -> ByteArray:
    """The pictures of these rows under all of the changes."""
    layers = side.cutouts[rows]
    for change in in_order(changes):
        layers = change.apply(layers, rows)
    return layers.flat()


def in_order(changes: Sequence[Change]) -> list[Change]:
    """As a picture comes about: the object, its place, what is around it, the light, the camera."""
    return sorted(changes, key=lambda change: registry.position(change.factor))


def all_subsets(names: Sequence[str]) -> list[Subset]:
    """Every subset of the names, smallest first."""
    return [frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size)]
