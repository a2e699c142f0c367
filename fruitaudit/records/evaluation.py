"""Predictions of one split and the numbers made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fruitaudit.records.data import FloatArray, IntArray, Role
from fruitaudit.records.states import NotRun, Quantity

_UNASKED = NotRun("this audit was made by a version of fruitaudit that did not ask for it", "not_asked")


@dataclass(frozen=True)
class Predictions:
    """What the model said about one split.

    `labels` (N,) are true class indices, `probabilities` (N, K) float32 rows that sum to 1, `logits` (N, K) float32
    with softmax(logits) == probabilities. `group_ids` (N,) name the object or scene of each image, empty where the data
    names none for it; None where the data names none at all. `pixel_digests` (N,) are SHA-256 of the pixels that the
    model is given, before they are scaled.
    """

    split: str
    role: Role
    class_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    labels: IntArray
    probabilities: FloatArray
    logits: FloatArray
    group_ids: tuple[str, ...] | None = None
    pixel_digests: tuple[str, ...] | None = None

    @cached_property
    def groups(self) -> IntArray | None:
        """(N,) the number of each image's group; an image without a name is a group of its own."""
        if self.group_ids is None:
            return None
        names = [
            f"group {name}" if name else f"image {i}" for name, i in zip(self.group_ids, self.sample_ids, strict=True)
        ]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    @property
    def predicted(self) -> IntArray:
        """Index of the most probable class, (N,); the first one where two are equal."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True)
class Curve:
    """A polyline for a chart, thinned to at most a few hundred points. `n_positive` of `n` images are positives."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    n: int
    n_positive: int | None = None


@dataclass(frozen=True)
class ClassRow:
    """One class of one split. `support` true images, `predicted` images given this class, `hits` both."""

    name: str
    support: int
    predicted: int
    hits: int
    precision: Quantity
    recall: Quantity
    f1: Quantity
    auc: Quantity
    average_precision: Quantity
    chance: float | None = None
    """Probability that answers of this class which are wrong, and images of it that are missed, differ as much by
    chance; None where it cannot be told."""


@dataclass(frozen=True)
class AverageRow:
    """Precision, recall and F1 averaged over classes: "macro", "micro" or "weighted" (by support)."""

    name: str
    precision: Quantity
    recall: Quantity
    f1: Quantity


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions whose confidence (largest probability) lies in (low, high]: how many, how sure, how often right."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: Quantity


@dataclass(frozen=True)
class OutsideAnswers:
    """Answers that no label of the data has: of `errors` wrong ones of a split, `outside`.

    `accuracy` and `restricted`: share of right answers, and what it would be if only labelled classes were possible.
    """

    split: str
    errors: int
    outside: int
    n_labels: int
    n_outputs: int
    accuracy: Quantity
    restricted: Quantity


@dataclass(frozen=True)
class SplitEvaluation:
    """Everything measured on one split.

    `metrics` holds the scalar figures by name: accuracy, no_information_rate, balanced_accuracy, top3_accuracy (top_k
    for each k asked), log_loss, cohen_kappa, mcc, auc_macro, auc_micro, average_precision_macro, brier, ece,
    f1_macro, f1_micro, f1_weighted, mean_confidence.
    `confusion[i][j]` counts images of true class i that were called class j.
    """

    split: str
    role: Role
    n: int
    metrics: dict[str, Quantity]
    classes: tuple[ClassRow, ...]
    averages: tuple[AverageRow, ...]
    confusion: tuple[tuple[int, ...], ...]
    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    reliability: tuple[ReliabilityBin, ...]
    coverage: Curve
    """Accuracy (y) of the x share of images with the highest confidence: what abstaining on the rest would buy."""
    surest: Quantity = _UNASKED
    """Accuracy of the surest images, three in ten."""
    probability_range: float | None = None
    """By how much the probability of a class differs among the images, of the class that differs most; None where all
    images are the same."""
    notes: tuple[str, ...] = ()
