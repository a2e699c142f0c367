"""What abstaining buys: accuracy when only the most confident predictions are answered."""

from __future__ import annotations

import numpy as np

from fruitaudit.evaluation.curves import curve
from fruitaudit.records.data import BoolArray, FloatArray
from fruitaudit.records.evaluation import Curve, Predictions
from fruitaudit.records.states import NotRun, Quantity
from fruitaudit.statistics.intervals import share_of


def accuracy_coverage(confidence: FloatArray, correct: BoolArray) -> Curve:
    """Accuracy (y) of the share x of images with the highest confidence; equal confidences are answered together.

    Paper: El-Yaniv, Wiener 2010, JMLR 11, 1605-1641 (the risk-coverage curve; risk = 1 - accuracy).
    """
    n = len(correct)
    if not n:
        return Curve("coverage", (), (), 0)
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    answered = last + 1
    return curve("coverage", answered / n, np.cumsum(correct[order])[last] / answered, n)


def accuracy_when_answering(predictions: Predictions, share: float) -> Quantity:
    """Accuracy where at least this share (0..1] of the images, the most confident, is answered: abstain on the rest.

    `n` of the estimate counts the images answered: more than the share where confidences are equal.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of images lies in (0, 1], not {share}")
    confidence = predictions.probabilities.max(axis=1)
    if not len(confidence):
        return NotRun("the split has no images", "no_images")
    # 0.7 * 10 is 7.000000000000001: the rounding keeps it 7 images.
    rank = int(np.ceil(round(share * len(confidence), 9)))
    answered = confidence >= np.sort(confidence)[-rank]
    correct = predictions.predicted == predictions.labels
    groups = predictions.groups
    return share_of(correct[answered], None if groups is None else groups[answered])
