"""Does the changed lab fail as the field does? Confusion matrices compared, beside a corruption of the same size."""

from __future__ import annotations

import cv2
import numpy as np

from fruitaudit.diagnosis.change import Change
from fruitaudit.diagnosis.contrast import Contrast, Values
from fruitaudit.diagnosis.layers import Layers
from fruitaudit.diagnosis.resampling import RESAMPLES, weights
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.diagnosis import GapCheck
from fruitaudit.records.states import Estimate

CONTROL = "control"
_COARSE = 12
"""Cells a side of the control's random pattern: as smooth as light and backgrounds are."""


def control_change(contrast: Contrast, distance: float) -> Change:
    """A random smooth pattern of colour over the whole picture, of root mean square `distance` (0..1)."""
    ids, streams = contrast.lab.material.ids, contrast.streams

    def apply(layers: Layers, rows: IntArray) -> Layers:
        def corrupted(k: int, image: FloatArray) -> FloatArray:
            pattern = streams.rng("control", ids[rows[k]]).normal(size=(_COARSE, _COARSE, 3)).astype(np.float32)
            pattern = cv2.resize(pattern, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            return _at_distance(image, pattern, 255 * distance)

        return layers.flattened().with_objects(corrupted)

    dose = f"a random smooth pattern of root mean square {distance:.2f}"
    return Change(CONTROL, "Control corruption", dose, apply)


def _at_distance(image: FloatArray, pattern: FloatArray, distance: float) -> FloatArray:
    """Clipping eats some of the pattern: its strength is doubled and halved until the change has the right size."""
    low, high = 0.0, 8.0 * distance
    for _ in range(12):
        strength = (low + high) / 2
        size = float(np.sqrt(np.mean((np.clip(image + strength * pattern, 0, 255) - image) ** 2)))
        low, high = (strength, high) if size < distance else (low, strength)
    return np.clip(image + high * pattern, 0, 255)


def similarity_check(contrast: Contrast, transformed: IntArray, control: IntArray, n_classes: int) -> GapCheck:
    """Passed if the changed lab's confusion matrix is surely more like the field's than the control's is."""
    lab, field = contrast.lab.material, contrast.field.material
    ours = weights(lab.sources, contrast.streams, "similarity", lab.split)
    theirs = weights(field.sources, contrast.streams, "similarity", field.split)
    even_lab, even_field = (np.full((1, len(m)), 1 / len(m)) for m in (lab, field))
    values, spreads = [], []
    for called in (transformed, control):
        pairs = (lab.labels, called), (field.labels, field.predicted)
        values.append(float(_similarity(*pairs, even_lab, even_field, n_classes)[0]))
        spreads.append(_similarity(*pairs, ours, theirs, n_classes))
    low, high = np.quantile(spreads[0] - spreads[1], [0.025, 0.975]).tolist()
    difference = values[0] - values[1]
    measured = Estimate(
        difference, len(lab) + len(field), min(low, difference), max(high, difference),
        interval=f"bootstrap of sources, {RESAMPLES} resamples",
    )  # fmt: skip
    return GapCheck(
        "confusions", low > 0, measured,
        f"the changed lab's confusion matrix agrees with the field's to {100 * values[0]:.0f} %, that of a random "
        f"corruption of the same size to {100 * values[1]:.0f} %",
    )  # fmt: skip


def _similarity(
    one: tuple[IntArray, IntArray], other: tuple[IntArray, IntArray], w_one: Values, w_other: Values, n_classes: int
) -> Values:
    """(R,): one minus the mean total variation distance of the rows of two confusion matrices, classes in both."""
    a, b = (_confusions(*pair, w, n_classes) for pair, w in ((one, w_one), (other, w_other)))
    both = np.intersect1d(one[0], other[0])
    tv = 0.5 * np.abs(a[:, both] - b[:, both]).sum(axis=2)
    return 1 - np.nanmean(tv, axis=1)


def _confusions(labels: IntArray, called: IntArray, w: Values, n_classes: int) -> Values:
    """(R, K, K) row-normalised; NaN rows where a resample holds no image of a class."""
    cells = np.zeros((len(labels), n_classes * n_classes))
    cells[np.arange(len(labels)), labels * n_classes + called] = 1
    counts = (w @ cells).reshape(-1, n_classes, n_classes)
    total = counts.sum(axis=2, keepdims=True)
    return counts / np.where(total > 0, total, np.nan)
