"""Are the class names in the order of the model's outputs? Accuracy under other orders of the same names."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fruitaudit.records.data import BoolArray, IntArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.results import ClassOrder
from fruitaudit.statistics.intervals import ends_of_wilson, share_of
from fruitaudit.statistics.paired import mcnemar

GIVEN = "as given"
FAR = 0.1
"""Accuracy that another order must gain, beyond the intervals, to be called far better."""
ASSIGNED = "assigned as the confusions say"
MOVED_FROM = 10
"""Images of a class from which its name may be moved."""
ERROR = 0.001
"""An assignment is believed where chance does so well less often."""


def judge_class_orders(predictions: Predictions) -> tuple[ClassOrder, ...]:
    """The given order, the best other one (reversed, sorted, shifted in a circle) and the assignment that fits best.

    The last is left out where it moves no name, or is the one before. Empty without images. An order is a list of
    names, one per output of the model; the labels stay those of the data.
    """
    labels, predicted = predictions.labels, predictions.predicted
    if not len(labels):
        return ()
    orders = dict(_orders(predictions.class_names))
    right = {name: order[predicted] == labels for name, order in orders.items()}
    best = sorted((name for name in right if name != GIVEN), key=lambda name: -right[name].mean())[:1]
    rows = [_order(name, predictions, right[name], orders[name]) for name in (GIVEN, *best)]
    k, half = len(predictions.class_names), _half(labels, predictions.groups)
    assigned = _assigned(labels[half], predicted[half], k, _movable(labels, k))
    if not any(np.array_equal(assigned, orders[name]) for name in (GIVEN, *best)):
        rows += _judged(assigned, predictions, ~half)
    return tuple(rows)


def with_best_names(labels: IntArray, predicted: IntArray, k: int, groups: IntArray | None) -> BoolArray:
    """(N,) which answers are right when names are moved as one half of the images says, and judged on the other half.

    Both halves take turns. `predicted` may be -1, no answer.
    """
    right, half, movable = predicted == labels, _half(labels, groups), _movable(labels, k)
    given = predicted >= 0
    for rows in (half, ~half):
        order = _assigned(labels[rows & given], predicted[rows & given], k, movable)
        judged = ~rows & given
        right[judged] = order[predicted[judged]] == labels[judged]
    return right


def _movable(labels: IntArray, k: int) -> BoolArray:
    return np.bincount(labels, minlength=k) >= MOVED_FROM


def _half(labels: IntArray, groups: IntArray | None) -> BoolArray:
    """(N,) every second image of each class, or every second group."""
    half = np.zeros(len(labels), bool)
    units = np.arange(len(half)) if groups is None else groups
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        half[rows] = np.unique(units[rows], return_inverse=True)[1] % 2 == 0
    return half


def _assigned(labels: IntArray, predicted: IntArray, k: int, movable: BoolArray) -> IntArray:
    """(k,) the name of each output: the assignment with most right answers, of whole circles that gain in every class.

    A class that the model never names gives its name away for nothing; its circle gains nothing there, and is left.
    Paper: Kuhn 1955, Nav. Res. Logist. 2, 83-97 (the Hungarian method).
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((k, k))
    np.add.at(counts, (predicted, labels), 1)
    of_class = np.maximum(counts.sum(axis=0), 1)
    moved = np.flatnonzero(movable)
    weights = counts[np.ix_(moved, moved)] + 1e-3 * np.eye(len(moved))  # where nothing is known, names stay as they are
    order = np.arange(k)
    outputs, names = linear_sum_assignment(weights, maximize=True)
    order[moved[outputs]] = moved[names]
    output_of = np.argsort(order)
    gains = (counts[output_of, np.arange(k)] - np.diag(counts)) / of_class
    for circle in _circles(order):
        if min(gains[circle]) < FAR:
            order[circle] = circle
    return order


def _circles(order: IntArray) -> list[list[int]]:
    """The cycles of a permutation that move something."""
    circles, seen = [], set[int]()
    for start in np.flatnonzero(order != np.arange(len(order))).tolist():
        circle: list[int] = []
        while start not in seen:
            seen.add(start)
            circle.append(start)
            start = int(order[start])
        circles += [circle] if circle else []
    return circles


def _judged(order: IntArray, predictions: Predictions, rows: BoolArray) -> list[ClassOrder]:
    """An assignment on the images that did not find it; empty where one of the classes it moves does not gain there."""
    labels, predicted = predictions.labels[rows], predictions.predicted[rows]
    groups = None if predictions.groups is None else predictions.groups[rows]
    given_right, right = predicted == labels, order[predicted] == labels
    for name in np.flatnonzero(order != np.arange(len(order))):
        of_class = labels == name
        if right[of_class].sum() <= given_right[of_class].sum():
            return []
    accuracy = share_of(right, groups)
    effective = accuracy.n_effective if accuracy.no_interval is None else 0.0
    names = tuple(predictions.class_names[i] for i in order)
    return [ClassOrder(ASSIGNED, predictions.split, accuracy.value, accuracy.n, effective, names,
                       float(given_right.mean()), mcnemar(right, given_right, groups))]  # fmt: skip


def _order(name: str, predictions: Predictions, right: BoolArray, order: IntArray) -> ClassOrder:
    accuracy = share_of(right, predictions.groups)
    effective = accuracy.n_effective if accuracy.no_interval is None else 0.0
    names = () if name == GIVEN else tuple(predictions.class_names[i] for i in order)
    return ClassOrder(name, predictions.split, accuracy.value, accuracy.n, effective, names)


def far_better(orders: Iterable[ClassOrder]) -> ClassOrder | None:
    """The order whose accuracy beats the given one on the same split by 0.1 or more, with no overlap of intervals.

    An assignment beats it by McNemar's test.
    """
    orders = tuple(orders)
    given_orders = {row.split: row for row in orders if row.order == GIVEN}
    better = [row for row in orders if row.split in given_orders and _beats(row, given_orders[row.split])]
    return max(better, key=lambda row: row.accuracy, default=None)


def _beats(other: ClassOrder, given_order: ClassOrder) -> bool:
    if other.order == ASSIGNED:
        return other.chance is not None and other.chance <= ERROR and other.accuracy > (other.given_accuracy or 0.0)
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
    if all(name.isdecimal() and len(name) < 20 for name in names):
        candidates.append(("sorted by number", np.array(sorted(range(k), key=lambda i: int(names[i])), dtype=np.int64)))
    candidates += [(f"shifted by {shift}", np.roll(identity, -shift)) for shift in range(1, k)]
    distinct: dict[bytes, tuple[str, IntArray]] = {}
    for name, order in candidates:
        distinct.setdefault(np.ascontiguousarray(order).tobytes(), (name, order))
    return list(distinct.values())
