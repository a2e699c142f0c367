"""Are the class names in the order of the model's outputs? Accuracy under other orders of the same names."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fruitaudit.records.data import IntArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.results import ClassOrder
from fruitaudit.statistics.intervals import wilson

GIVEN = "as given"
FAR = 0.1
"""Accuracy that another order must gain, beyond the intervals, to be called far better."""


def judge_class_orders(predictions: Predictions) -> tuple[ClassOrder, ...]:
    """The given order and the best other one: reversed, sorted by name, or shifted in a circle. Empty without images.

    An order is a list of names, one an output of the model; the labels stay what the data says.
    """
    n, labels, predicted = len(predictions.labels), predictions.labels, predictions.predicted
    if not n:
        return ()
    accuracies = {name: float((order[predicted] == labels).mean()) for name, order in _orders(predictions.class_names)}
    given = accuracies.pop(GIVEN)
    best = sorted(accuracies.items(), key=lambda item: -item[1])[:1]
    return tuple(ClassOrder(name, predictions.split, value, n) for name, value in [(GIVEN, given), *best])


def far_better(orders: Iterable[ClassOrder]) -> ClassOrder | None:
    """The order whose accuracy beats the given one on the same split by 0.1 or more, with no overlap of intervals."""
    orders = tuple(orders)
    given = {row.split: row for row in orders if row.order == GIVEN}
    better = [row for row in orders if row.split in given and _beats(row, given[row.split])]
    return max(better, key=lambda row: row.accuracy, default=None)


def _beats(other: ClassOrder, given: ClassOrder) -> bool:
    a, b = (wilson(round(row.accuracy * row.n), row.n) for row in (other, given))
    return other.accuracy - given.accuracy >= FAR and (a.low or 0.0) > (b.high or 1.0)


def _orders(names: tuple[str, ...]) -> list[tuple[str, IntArray]]:
    """Orders by name: entry j is the index, in the given names, of the name that output j would get. No order twice."""
    k = len(names)
    identity = np.arange(k)
    by_name = np.array(sorted(range(k), key=lambda i: names[i]), dtype=np.int64)
    candidates = [(GIVEN, identity), ("sorted by name", by_name), ("reversed", identity[::-1])]
    candidates += [(f"shifted by {shift}", np.roll(identity, -shift)) for shift in range(1, k)]
    seen: dict[bytes, tuple[str, IntArray]] = {}
    for name, order in candidates:
        seen.setdefault(np.ascontiguousarray(order).tobytes(), (name, order))
    return list(seen.values())
