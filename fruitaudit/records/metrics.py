"""The metrics by name, for gates, reports and documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """`title` in a sentence; `meaning` with formula and range; `source` where it is defined."""

    title: str
    meaning: str
    source: str


_CONFUSION = "Sokolova and Lapalme 2009, Information Processing & Management 45(4)"
_ROC = "Fawcett 2006, Pattern Recognition Letters 27(8); one class against the rest"
_PRECISION_RECALL = "Davis and Goadrich 2006, ICML; sum of (R_i - R_(i-1)) P_i, without interpolation"
_BRIER = "Brier 1950, Monthly Weather Review 78(1), in its original form"

SCALARS: Mapping[str, Metric] = {
    "accuracy": Metric("accuracy", "Share of images whose predicted class is the true one, 0 to 1.", _CONFUSION),
    "no_information_rate": Metric(
        "no-information rate", "Share of the most frequent class, 0 to 1: what always naming it gets.", "Kuhn 2008, "
        "Journal of Statistical Software 28(5)"),
    "balanced_accuracy": Metric(
        "balanced accuracy", "Mean recall of the classes that have images, 0 to 1.", "Brodersen et al. 2010, ICPR"),
    "log_loss": Metric(
        "log-loss", "Mean of -ln p(true class) in nats, from the logits, 0 up.", "Good 1952, JRSS B 14(1)"),
    "cohen_kappa": Metric(
        "Cohen's kappa", "(accuracy - chance agreement) / (1 - chance agreement), -1 to 1.", "Cohen 1960, EPM 20(1)"),
    "mcc": Metric(
        "Matthews correlation", "Correlation of true and predicted class over the confusion matrix, -1 to 1.",
        "Gorodkin 2004, Computational Biology and Chemistry 28(5)"),
    "auc_macro": Metric("macro AUC", "Mean of the classes' ROC AUC, 0 to 1; 0.5 at chance.", _ROC),
    "auc_micro": Metric("micro AUC", "ROC AUC over all pairs of an image and a class, 0 to 1.", _ROC),
    "average_precision_macro": Metric(
        "macro average precision", "Mean of the classes' average precision, 0 to 1.", _PRECISION_RECALL),
    "brier": Metric("Brier score", "Mean of sum_k (p_k - 1[k is true])^2, 0 to 2; lower is better.", _BRIER),
    "ece": Metric(
        "expected calibration error", "sum_m n_m / n |accuracy_m - confidence_m| in 15 bins, 0 to 1; lower is better.",
        "Guo et al. 2017, arXiv:1706.04599, eq. 3"),
    "f1_macro": Metric("macro F1", "Mean of the classes' F1, 0 to 1; undefined ones count 0.", _CONFUSION),
    "f1_micro": Metric("micro F1", "F1 of all pairs pooled; equals accuracy with one class per image.", _CONFUSION),
    "f1_weighted": Metric("weighted F1", "Mean of the classes' F1, weighted by their images, 0 to 1.", _CONFUSION),
    "mean_confidence": Metric(
        "mean confidence", "Mean probability of the predicted class, 0 to 1; compare it with accuracy.",
        "Guo et al. 2017, arXiv:1706.04599"),
}  # fmt: skip
"""Keys of `SplitEvaluation.metrics`, beside top<k>_accuracy for each k that is asked for."""

TOP_K_METRIC = Metric(
    "top-k accuracy", "Share of images whose true class is among the k most probable ones, 0 to 1.",
    "Russakovsky et al. 2015, arXiv:1409.0575")  # fmt: skip

PER_CLASS: Mapping[str, Metric] = {
    "precision": Metric("precision", "Images of the class among those predicted as it, 0 to 1.", _CONFUSION),
    "recall": Metric("recall", "Images predicted as the class among those that are of it, 0 to 1.", _CONFUSION),
    "f1": Metric("F1", "Harmonic mean of precision and recall, 0 to 1.", _CONFUSION),
    "auc": Metric("AUC", "Chance that an image of the class gets a higher probability of it than another.", _ROC),
    "average_precision": Metric("average precision", "Area under precision over recall, 0 to 1.", _PRECISION_RECALL),
}
"""Metrics of a `ClassRow`."""

TOP_K = re.compile(r"top([1-9]\d*)_accuracy")


def spoken(metric: str) -> str:
    """The metric's name in a sentence, e.g. "top-3 accuracy"."""
    top = TOP_K.fullmatch(metric)
    return f"top-{top[1]} accuracy" if top else (SCALARS.get(metric) or PER_CLASS[metric]).title
