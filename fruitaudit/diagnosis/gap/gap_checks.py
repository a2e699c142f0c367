"""May the shares of a gap be believed? The lab changed is compared with the field, and each change with a control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.records.data import DoubleArray, FloatArray, IntArray
from fruitaudit.records.diagnosis import Decision, Effect, GapCheck
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.means import CHANGE, Range, mean_of, spanned, weights

LEAST = 0.02
"""Smallest gap (lower end of its interval) worth dividing, and smallest share worth a claim."""
_RECOMPOSED = 0.05
"""Largest loss of accuracy by cutting out and putting back at which shares may still be claimed."""


def lab_mean(pair: SplitPair, values: DoubleArray | FloatArray, purpose: str, possible: Range = CHANGE) -> Estimate:
    """Mean of (N,) values of the lab's images; sources are resampled."""
    lab = pair.lab.material
    key = ("decomposition", lab.split, purpose)
    return mean_of(values, lab.sources, lab.sources_known, pair.streams, *key, possible=possible)


@dataclass(frozen=True)
class ShareTrial:
    """What speaks for and against one share: `points`, and the loss `loss`, both of accuracy.

    `control_loss` is the loss under a frame of the same pixel distance (`controls.framed`), `excess` how much more the
    factor costs than that, on the same images; `undo` what taking the factor back in the field did, None where that
    was not tried, or tried on a guess.
    """

    points: Estimate
    loss: float
    control_loss: Estimate
    excess: Estimate
    undo: Effect | None


def believe(trial: ShareTrial, checks: Sequence[GapCheck]) -> tuple[bool, Decision, str]:
    """Whether a share counts, which check decided, and why.

    It must surely be above zero, and cutting out must cost nothing by itself. The factor must surely cost more than a
    frame of the same pixel distance, the changed lab must be confused as the field is, and taking the factor back in
    the field must win answers, where that was tried. Where it was not, `why` does not speak of it.
    """
    if trial.points.high is not None and trial.points.high < 0:
        return False, "interval", "it costs nothing: with it more answers are right"
    if trial.points.low is None or trial.points.low <= 0:
        return False, "interval", "its interval reaches zero"
    if trial.points.value < LEAST:
        return False, "size", f"it is less than {100 * LEAST:.0f} points"
    recomposition, similarity, _ = checks
    if not recomposition.passed:
        return False, "recomposition", recomposition.sentence
    sizes = (f"alone it costs {100 * trial.loss:.1f} points, a frame as far from the picture "
             f"{100 * trial.control_loss.value:.1f}")  # fmt: skip
    if (trial.excess.low or 0) <= 0:
        return False, "control", f"it does not surely cost more than another disturbance of that size: {sizes}"
    if not similarity.passed:
        return False, "confusions", f"the changed lab images are not confused as the field's are; {sizes}"
    if trial.undo is None:
        return True, "confusions", f"{similarity.sentence}; {sizes}"
    regained, split = 100 * trial.undo.change.value, trial.undo.split
    if regained <= 0:
        return False, "undone", f"undoing it in {split} regains nothing (it costs {-regained:.1f} points); {sizes}"
    return True, "undone", f"undoing it in {split} regains {regained:.1f} points; {sizes}"


def recomposition_check(pair: SplitPair, recomposed: DoubleArray) -> GapCheck:
    """`recomposed` (N,) 1 where the model is right on a lab image that was cut out and put back unchanged."""
    cost = lab_mean(pair, pair.lab.material.correct - recomposed, "recomposed")
    return GapCheck(
        "recomposition", cost.value <= _RECOMPOSED, cost,
        f"cutting the objects out and putting them back costs {100 * cost.value:.1f} points of accuracy by itself",
    )  # fmt: skip


def control_check(pair: SplitPair, changed: DoubleArray, framed: DoubleArray, patterned: DoubleArray) -> GapCheck:
    """Passed if all changes together surely cost more than a frame that takes every image as far.

    `changed`, `framed` and `patterned` (N,) 1 where the model is right. A strong pattern over the object breaks nearly
    every model; its loss is told, so that nobody takes a large loss for a proof.
    """
    excess = lab_mean(pair, framed - changed, "beyond control")
    losses = [100 * float((pair.lab.material.correct - correct).mean()) for correct in (changed, framed, patterned)]
    return GapCheck(
        "control", (excess.low or 0) > 0, excess,
        f"all changes together cost {losses[0]:.1f} points; a black and white frame that takes each picture as far "
        f"(root mean square) but leaves its middle alone costs {losses[1]:.1f}, and a random pattern of that size over "
        f"the whole picture {losses[2]:.1f}",
    )  # fmt: skip


def similarity_check(pair: SplitPair, transformed: IntArray, control: IntArray, n_classes: int) -> GapCheck:
    """Passed if the changed lab's confusion matrix is surely more like the field's than the control's is."""
    lab, field = pair.lab.material, pair.field.material
    lab_weights = weights(lab.sources, pair.streams, "similarity", lab.split)
    field_weights = weights(field.sources, pair.streams, "similarity", field.split)
    even_lab, even_field = (np.full((1, len(m)), 1 / len(m)) for m in (lab, field))
    values, spreads = [], []
    for predicted in (transformed, control):
        pairs = (lab.labels, predicted), (field.labels, field.predicted)
        values.append(float(_similarity(*pairs, even_lab, even_field, n_classes)[0]))
        spreads.append(_similarity(*pairs, lab_weights, field_weights, n_classes))
    has_groups = lab.sources_known or field.sources_known
    difference = spanned(values[0] - values[1], spreads[0] - spreads[1], (lab.sources, field.sources), has_groups)
    return GapCheck(
        "confusions", (difference.low or 0) > 0, difference,
        f"the changed lab's confusion matrix agrees with the field's to {100 * values[0]:.0f} %, that of a random "
        f"corruption of the same size to {100 * values[1]:.0f} %",
    )  # fmt: skip


def _similarity(
    one: tuple[IntArray, IntArray],
    other: tuple[IntArray, IntArray],
    w_one: DoubleArray,
    w_other: DoubleArray,
    n_classes: int,
) -> DoubleArray:
    """(R,): one minus the mean total variation distance of the rows of two confusion matrices, classes in both."""
    a, b = (_confusions(*pair, w, n_classes) for pair, w in ((one, w_one), (other, w_other)))
    both = np.intersect1d(one[0], other[0])
    tv = 0.5 * np.abs(a[:, both] - b[:, both]).sum(axis=2)
    return 1 - np.nanmean(tv, axis=1)


def _confusions(labels: IntArray, predicted: IntArray, w: DoubleArray, n_classes: int) -> DoubleArray:
    """(R, K, K) row-normalised; NaN rows where a resample holds no image of a class."""
    cells = np.zeros((len(labels), n_classes * n_classes))
    cells[np.arange(len(labels)), labels * n_classes + predicted] = 1
    counts = (w @ cells).reshape(-1, n_classes, n_classes)
    total = counts.sum(axis=2, keepdims=True)
    return counts / np.where(total > 0, total, np.nan)
