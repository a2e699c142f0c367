"""Gradients whose way back through ReLUs is changed: guided backpropagation and deconvolution.

Both are defined for networks of linear operations, maxima and ReLUs; any other nonlinearity has no rule here.
"""

from __future__ import annotations

from typing import Any

from fruitaudit.models.keras import backward
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.backward import Rules, Signals, Step


def _guided(step: Step, signals: Signals) -> Signals:
    """1[x > 0] 1[g > 0] g, the first as far as the ReLU has a slope there."""
    return backward.gradient(step, _deconvolved(step, signals))


def _deconvolved(step: Step, signals: Signals) -> Signals:
    """1[g > 0] g."""
    return [tf.nn.relu(signals[0])]


_RELUS = ("Relu", "Relu6")
_LINEAR: Rules = {
    **backward.UNCHANGED,
    **dict.fromkeys(
        (*backward.MOVES, *backward.SUMS, *backward.WEIGHTED, "Mul", "RealDiv", "MaxPool", "Max"), backward.gradient
    ),
}
GUIDED: Rules = {**_LINEAR, **dict.fromkeys(_RELUS, _guided)}
DECONVOLUTION: Rules = {**_LINEAR, **dict.fromkeys(_RELUS, _deconvolved)}


def modified_gradient(model: Any, images: Any, weights: Any, rules: Rules, title: str) -> tuple[Any]:
    """In a graph: what arrives at the images (N, H, W, C) from their logits, each counted by its weight (N, K)."""
    logits = model.in_graph(images).logits
    steps = backward.steps_between(images, logits)
    backward.require_rules(steps, rules, title, "saliency or smoothgrad")
    return (backward.walk_back(steps, logits, weights, images, rules),)
