"""Are the class names in the order of the model's outputs? Accuracy under other orders of the same names."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fruitaudit.records.data import BoolArray, IntArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.results import ClassOrder
from fruitaudit.statistics.intervals import ends_of_wilson, share_of

GIVEN = "as given"
FAR = 0.1
"""Accuracy that another order must gain, beyond the intervals, to be called far better."""


def judge_class_orders(predictions: Predictions) -> tuple[ClassOrder, ...]:
    """The given order and the best other one: reversed, sorted by name, or shifted in a circle. Empty without images.

    An order is a list of names, one per output of the model; the labels stay those of the data.
    """
    labels, predicted = predictions.labels, predictions.predicted
    if not len(labels):
        return ()
    right = {name: order[predicted] == labels for name, order in _orders(predictions.class_names)}
    best = sorted((name for name in right if name != GIVEN), key=lambda name: -right[name].mean())[:1]
    return tuple(_order(name, predictions, right[name]) for name in (GIVEN, *best))


def _order(name: str, predictions: Predictions, right: BoolArray) -> ClassOrder:
    accuracy = share_of(right, predictions.groups)
    effective = accuracy.n_effective if accuracy.no_interval is None else 0.0
    return ClassOrder(name, predictions.split, accuracy.value, accuracy.n, effective)


def far_better(orders: Iterable[ClassOrder]) -> ClassOrder | None:
    """The order whose accuracy beats the given one on the same split by 0.1 or more, with no overlap of intervals."""
    orders = tuple(orders)
    given_orders = {row.split: row for row in orders if row.order == GIVEN}
    better = [row for row in orders if row.split in given_orders and _beats(row, given_orders[row.split])]
    return max(better, key=lambda row: row.accuracy, default=None)


def _beats(other: ClassOrder, given_order: ClassOrder) -> bool:
    sizes = [row.n if row.n_effective is None else row.n_effective for row in (other, given_order)]
    if not all(sizes):
        return False
    low, high = ends_of_wilson(other.accuracy, sizes[0])[0], ends_of_wilson(given_order.accuracy, sizes[1])[1]
    return other.accuracy - given_order.accuracy >= FAR and low > high


def _orders(names: tuple[str, ...]) -> list[tuple[str, IntArray]]:
    """Orders by name: entry j is the index, in the given names, of the name that output j would get. No order twice."""
    k = len(names)
    identity = np.arange(k)
    by_name = np.array(sorted(range(k), key=lambda i: names[i]), dtype=np.int64)
    candidates = [(GIVEN, identity), ("sorted by name", by_name), ("reversed", identity[::-1])]
    candidates += [(f"shifted by {shift}", np.roll(identity, -shift)) for shift in range(1, k)]
    distinct: dict[bytes, tuple[str, IntArray]] = {}
    for name, order in candidates:
        distinct.setdefault(np.ascontiguousarray(order).tobytes(), (name, order))
    return list(distinct.values())
