"""A class that the field shows as training never did, while the other classes look as they should."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.data_checks.shift import to_own_class
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.intervals import difference, share_of

_FAR = 0.97
"""Median rank of a class's distances from which it is far from training."""
_NEAR = 0.9
"""Median rank up to which another class still looks as in the lab."""
_LEAST_DROP = 0.2
_FEWEST = 5


@dataclass(frozen=True)
class Variety:
    """`drop` of the class's recall from lab to field; `rank` and `others_rank`, medians, 0..1; `effect` in accuracy."""

    class_name: str
    split: str
    drop: Estimate
    rank: float
    others_rank: float
    effect: float
    sample_ids: tuple[str, ...]


def find_varieties(
    names: Sequence[str], train: tuple[SplitSample, FloatArray], lab: tuple[SplitSample, FloatArray],
    field: tuple[SplitSample, FloatArray],
) -> Iterator[Variety]:  # fmt: skip
    """Classes far from training, whose recall falls by 20 points or more, where most others are near."""
    lab_distances, _ = to_own_class(*lab, *train)
    lab_distances = np.sort(lab_distances[np.isfinite(lab_distances)])
    distances, _ = to_own_class(*field, *train)
    ranks = np.searchsorted(lab_distances, distances) / max(1, len(lab_distances))
    material = field[0]
    medians = {int(c): float(np.median(ranks[material.labels == c])) for c in np.unique(material.labels)}
    near_ranks = [rank for rank in medians.values() if rank <= _NEAR]
    if len(near_ranks) <= len(medians) / 2:
        return
    for label, rank in medians.items():
        rows = np.flatnonzero(material.labels == label)
        lab_rows = np.flatnonzero(lab[0].labels == label)
        if rank < _FAR or min(len(rows), len(lab_rows)) < _FEWEST:
            continue
        drop = difference(*(_recall(m, of_class) for m, of_class in ((lab[0], lab_rows), (material, rows))))
        if (drop.low or 0) <= 0 or drop.value < _LEAST_DROP:
            continue
        effect = drop.value * len(rows) / len(material)
        ids = tuple(material.ids[i] for i in rows[np.argsort(-distances[rows])][:8])
        yield Variety(names[label], material.split, drop, rank, float(np.median(near_ranks)), effect, ids)


def _recall(material: SplitSample, rows: IntArray) -> Estimate:
    return share_of(material.correct[rows] > 0, None if material.groups is None else material.groups[rows])
