"""Predictions of one split and the numbers made of them."""

from __future__ import annotations

from dataclasses import dataclass

from fruitaudit.records.data import FloatArray, IntArray, Role
from fruitaudit.records.states import Quantity


@dataclass(frozen=True)
class Predictions:
    """What the model said about one split.

    `labels` (N,) are true class indices, `probabilities` (N, K) float32 rows that sum to 1, `logits` (N, K) float32
    with softmax(logits) == probabilities.
    """

    split: str
    role: Role
    class_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    labels: IntArray
    probabilities: FloatArray
    logits: FloatArray

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
    notes: tuple[str, ...] = ()
