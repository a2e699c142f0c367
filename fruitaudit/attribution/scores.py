"""What a method explains of an image: one number, and its gradient."""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.base import Model
from fruitaudit.attribution.sharing import computed_once
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Targets

ExplainedScore = Literal["probability", "logit"]
"""What a perturbation method watches: probabilities saturate on confident images, logits do not."""
Number = TypeVar("Number", np.float32, np.float64)


def pick(scores: npt.NDArray[Number], targets: Targets) -> npt.NDArray[Number]:
    """(N, K) -> (N,): the score of each image's class, less that of `targets.against`."""
    rows = np.arange(len(scores))
    chosen = scores[rows, targets.classes]
    return chosen if targets.against is None else chosen - scores[rows, targets.against]


def logit_weights(targets: Targets, n_classes: int) -> FloatArray:
    """(N, K): what each logit counts in what is explained, 1 for the class and -1 for `targets.against`."""
    weights = np.eye(n_classes, dtype=np.float32)
    return weights[targets.classes] - (0 if targets.against is None else weights[targets.against])


def scores_of(model: Model, values: FloatArray, targets: Targets, explains: ExplainedScore) -> FloatArray:
    """(N,) logit or probability of each image's class; with `targets.against` always the difference of two logits."""
    probability = explains == "probability" and targets.against is None
    return pick(model.probabilities(values) if probability else model.logits(values), targets)


def gradients_of(model: Model, values: FloatArray, targets: Targets) -> FloatArray:
    """(N, H, W, C) gradient of the logit of each image's class, or of the difference of two logits."""
    return model.gradient(values, targets.classes, against=targets.against)


def gradients_at(model: Model, images: Images, targets: Targets) -> FloatArray:
    """The same at the images themselves, which several methods need."""
    return computed_once("gradients", lambda: gradients_of(model, images.values, targets), model, images, targets)
