"""Gradients whose way back through ReLUs is changed: guided backpropagation and deconvolution.

Both are defined for networks of linear operations, maxima and ReLUs; any other nonlinearity has no rule here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fruitaudit.models.keras import backward
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.backward import BackwardRules, Signals, TracedOperation

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier


def _guided(step: TracedOperation, signals: Signals) -> Signals:
    """1[x > 0] 1[g > 0] g, the first as far as the ReLU has a slope there."""
    return backward.gradient(step, _deconvolution(step, signals))


def _deconvolution(step: TracedOperation, signals: Signals) -> Signals:
    """1[g > 0] g."""
    return [tf.nn.relu(signals[0])]


_RELUS = ("Relu", "Relu6")
_LINEAR: BackwardRules = {
    **backward.UNCHANGED,
    **dict.fromkeys(
        (*backward.MOVES, *backward.SUMS, *backward.WEIGHTED, "Mul", "RealDiv", "MaxPool", "Max"), backward.gradient
    ),
}
_TABLES: dict[str, tuple[str, BackwardRules]] = {
    "guided": ("Guided backpropagation", {**_LINEAR, **dict.fromkeys(_RELUS, _guided)}),
    "deconvolution": ("Deconvolution", {**_LINEAR, **dict.fromkeys(_RELUS, _deconvolution)}),
}
"""By `ReluRules.at_relus`: what the rules are called, and the table."""


def modified_gradient(model: Classifier, images: Any, weights: Any, at_relus: str) -> tuple[Any]:
    """In a graph: what arrives at the images (N, H, W, C) from their logits, each counted by its weight (N, K)."""
    title, rules = _TABLES[at_relus]
    logits = model.in_graph(images).logits
    steps = backward.steps_between(images, logits)
    backward.require_rules(steps, rules, title, "saliency or smoothgrad")
    return (backward.walk_back(steps, logits, weights, images, rules),)
