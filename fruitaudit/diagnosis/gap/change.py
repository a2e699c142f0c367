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
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.diagnosis.images.split_sample import PixelClassifier
from fruitaudit.records.data import ByteArray, DoubleArray, IntArray

CHUNK = 64
"""Images in memory as layers at once."""

Subset = frozenset[str]
T = TypeVar("T")


@dataclass(frozen=True)
class PredictionCache:
    """Predictions for the images of one split under subsets of the changes; each subset is computed once."""

    pixel_classifier: PixelClassifier
    side: MaskedSplit
    changes: tuple[Change, ...]
    _predictions: dict[Subset, IntArray] = field(default_factory=dict)

    def predictions(self, subsets: Iterable[Subset]) -> dict[Subset, IntArray]:
        """(N,) by subset."""
        unique = list(dict.fromkeys(subsets))
        missing = [subset for subset in unique if subset not in self._predictions]
        if missing:
            self._predictions.update(predict_subsets(self.pixel_classifier, self.side, self.changes, missing))
        return {subset: self._predictions[subset] for subset in unique}

    def correct(self, subsets: Iterable[Subset]) -> dict[Subset, DoubleArray]:
        """(N,) by subset, 1.0 where the model is right, else 0.0."""
        labels = self.side.material.labels
        return {
            subset: (predicted == labels).astype(np.float64) for subset, predicted in self.predictions(subsets).items()
        }


def predict_subsets(
    pixel_classifier: PixelClassifier, side: MaskedSplit, changes: Sequence[Change], subsets: Sequence[Subset]
) -> dict[Subset, IntArray]:
    """Predicted class of every image under each subset of the changes: (N,) by subset.

    Changes that several subsets begin with are made once.
    """
    ordered, cutouts = in_order(changes), side.cutouts

    def of_chunk(rows: IntArray) -> dict[Subset, IntArray]:
        by_subset: dict[Subset, IntArray] = {}

        def record(subset: Subset, pixels: ByteArray) -> None:
            by_subset[subset] = pixel_classifier.predicted(pixels)

        _walk(cutouts[rows], rows, ordered, subsets, record)
        return by_subset

    chunks = in_chunks(len(side.material), of_chunk)
    return {subset: np.concatenate([part[subset] for part in chunks]) for subset in subsets}


def in_chunks(n: int, work: Callable[[IntArray], T]) -> list[T]:
    """`work` done for rows 0..n-1, chunk by chunk in order; image operations of two chunks run beside each other."""
    chunks = [np.arange(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1), thread_name_prefix="changes") as pool:
        return list(pool.map(work, chunks))


def _walk(
    layers: Layers, rows: IntArray, changes: Sequence[Change], subsets: Sequence[Subset],
    leaf: Callable[[Subset, ByteArray], None],
) -> None:  # fmt: skip
    if not subsets:
        return
    if not changes:
        leaf(subsets[0], layers.flat())
        return
    change, others = changes[0], changes[1:]
    _walk(layers, rows, others, [s for s in subsets if change.factor not in s], leaf)
    with_change = [s for s in subsets if change.factor in s]
    if with_change:
        _walk(change.apply(layers, rows), rows, others, with_change, leaf)


def changed_pixels(side: MaskedSplit, changes: Sequence[Change], rows: IntArray) -> ByteArray:
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
    return [frozenset(subset) for size in range(len(names) + 1) for subset in combinations(names, size)]
