"""The figures by name, for gates, reports and documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping

SCALARS: Mapping[str, str] = {
    "accuracy": "accuracy",
    "no_information_rate": "no-information rate",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log-loss",
    "cohen_kappa": "Cohen's kappa",
    "mcc": "Matthews correlation",
    "auc_macro": "macro AUC",
    "auc_micro": "micro AUC",
    "average_precision_macro": "macro average precision",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "f1_weighted": "weighted F1",
    "mean_confidence": "mean confidence",
}
"""Keys of `SplitEvaluation.metrics`, beside top<k>_accuracy for each k asked."""

PER_CLASS: Mapping[str, str] = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "average precision",
}
"""Figures of a `ClassRow`."""

TOP_K = re.compile(r"top([1-9]\d*)_accuracy")


def spoken(metric: str) -> str:
    """The figure's name in a sentence, e.g. "top-3 accuracy"."""
    top = TOP_K.fullmatch(metric)
    return f"top-{top[1]} accuracy" if top else SCALARS.get(metric) or PER_CLASS[metric]
