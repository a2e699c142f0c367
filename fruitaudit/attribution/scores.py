"""What a method explains of an image: one number, and its gradient."""

from __future__ import annotations

import numpy as np

from fruitaudit.attribution.base import Model
from fruitaudit.records.data import FloatArray
from fruitaudit.records.explanations import Explains, Targets


def scores_of(model: Model, values: FloatArray, targets: Targets, explains: Explains) -> FloatArray:
    """(N,) logit or probability of each image's class; with `targets.against` always the difference of two logits."""
    rows = np.arange(len(values))
    if targets.against is not None:
        logits = model.logits(values)
        return logits[rows, targets.classes] - logits[rows, targets.against]
    every = model.probabilities(values) if explains == "probability" else model.logits(values)
    return every[rows, targets.classes]


def gradients_of(model: Model, values: FloatArray, targets: Targets) -> FloatArray:
    """(N, H, W, C) gradient of the logit of each image's class, or of the difference of two logits."""
    return model.gradient(values, targets.classes, against=targets.against)
