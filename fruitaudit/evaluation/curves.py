"""ROC and precision-recall curves of each class, micro and macro, with the areas they enclose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import BoolArray, FloatArray
from fruitaudit.records.evaluation import Curve
from fruitaudit.statistics.bootstrap import Array

MAX_POINTS = 200
DRAWN_FROM = 10
"""Positives that a class needs for its curves to be drawn."""


@dataclass(frozen=True)
class Sweep:
    """A threshold lowered over all scores: `fpr`, `tpr` (T,) from (0, 0) to (1, 1), and precision (T,)."""

    fpr: Array
    tpr: Array
    precision: Array
    n: int
    n_positive: int

    @classmethod
    def of(cls, scores: FloatArray, positive: BoolArray) -> Sweep:
        """`scores`, `positive` (M,); there must be positives and negatives."""
        from sklearn.metrics import roc_curve

        fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
        n, n_positive = len(positive), int(positive.sum())
        true_positives, false_positives = tpr * n_positive, fpr * (n - n_positive)
        return cls(fpr, tpr, true_positives / np.maximum(true_positives + false_positives, 1), n, n_positive)

    @property
    def auc(self) -> float:
        """Area under the ROC curve by the trapezoidal rule: scikit-learn's `roc_auc_score`."""
        from sklearn.metrics import auc

        return float(auc(self.fpr, self.tpr))

    @property
    def average_precision(self) -> float:
        """sum_t (R_t - R_t-1) P_t: scikit-learn's `average_precision_score`."""
        return float(np.diff(self.tpr) @ self.precision[1:])

    def steps(self) -> tuple[Array, Array]:
        """Recall (S,) after every step that finds a positive, and the precision of that step."""
        rises = np.flatnonzero(np.diff(self.tpr) > 0) + 1
        return self.tpr[rises], self.precision[rises]

    def roc(self, name: str) -> Curve:
        """True positive rate over false positive rate."""
        return curve(name, self.fpr, self.tpr, self.n, self.n_positive)

    def precision_recall(self, name: str) -> Curve:
        """Precision over recall, drawn as steps, so that the area under it is the average precision."""
        recall, precision = self.steps()
        return curve(name, *_staircase(recall, precision), self.n, self.n_positive)


def macro_roc(sweeps: Sequence[Sweep], n: int) -> Curve:
    """The mean of the classes' ROC curves at every false positive rate; its area is their mean area."""
    grid = np.unique(np.concatenate([s.fpr for s in sweeps]))
    # A curve may rise at a rate: the value from the left, then the one from the right.
    left = np.mean([np.interp(-grid, -s.fpr[::-1], s.tpr[::-1]) for s in sweeps], axis=0)
    right = np.mean([np.interp(grid, s.fpr, s.tpr) for s in sweeps], axis=0)
    return curve("macro", np.repeat(grid, 2), np.stack([left, right], axis=1).ravel(), n)


def macro_precision_recall(sweeps: Sequence[Sweep], n: int) -> Curve:
    """The mean of the classes' precision steps at every recall; its area is their mean average precision."""
    steps = [s.steps() for s in sweeps]
    grid = np.unique(np.concatenate([recall for recall, _ in steps]))
    mean = np.mean([precision[np.searchsorted(recall, grid)] for recall, precision in steps], axis=0)
    return curve("macro", *_staircase(grid, mean), n)


def _staircase(recall: Array, precision: Array) -> tuple[Array, Array]:
    return np.concatenate([[0.0], np.repeat(recall, 2)[:-1]]), np.repeat(precision, 2)


def curve(name: str, x: Array, y: Array, n: int, n_positive: int | None = None) -> Curve:
    """A record of the polyline, thinned and rounded to what a chart can show."""
    keep = thin(x, y)
    x, y = np.round(x[keep], 5), np.round(y[keep], 5)
    return Curve(name, tuple(x.tolist()), tuple(y.tolist()), n, n_positive)


def thin(x: Array, y: Array, *, limit: int = MAX_POINTS, tolerance: float = 2e-3) -> npt.NDArray[np.int64]:
    """At most `limit` vertices of a polyline in the unit square; none other lies 2.5 x `tolerance` off, if that allows.

    First one vertex is kept of each passage through a grid cell of that size. Then Ramer 1972, Comput. Graph. Image
    Process. 1, 244-256, breadth first: in every round each segment, farthest first, is split at its farthest vertex.
    """
    cells = np.round(np.stack([x, y], axis=1) / tolerance)
    candidates = np.flatnonzero(np.append(True, (np.diff(cells, axis=0) != 0).any(axis=1)))
    candidates = np.union1d(candidates, [len(x) - 1])
    points = np.stack([x[candidates], y[candidates]], axis=1).astype(np.float64)
    vertices = np.unique([0, len(points) - 1])
    while 1 < len(vertices) < min(limit, len(points)):
        segment = np.repeat(np.arange(len(vertices) - 1), np.diff(vertices))
        a, along = points[vertices[:-1]], np.diff(points[vertices], axis=0)
        along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-12)[:, None]
        off, along = points[:-1] - a[segment], along[segment]
        distance = np.abs(along[:, 0] * off[:, 1] - along[:, 1] * off[:, 0])
        farthest = np.maximum.reduceat(distance, vertices[:-1])[segment]
        at = np.flatnonzero((distance == farthest) & (distance > tolerance))
        split = at[np.unique(segment[at], return_index=True)[1]]
        if not len(split):
            break
        split = split[np.argsort(-distance[split], kind="stable")][: limit - len(vertices)]
        vertices = np.union1d(vertices, split)
    return candidates[vertices]
