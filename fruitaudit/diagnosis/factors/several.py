"""Several objects in one picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements, no_difference, without_masks
from fruitaudit.diagnosis.factors.guessed_layout import guessed_changes, immovable
from fruitaudit.diagnosis.factors.layout import layouts
from fruitaudit.diagnosis.factors.placing import several_change
from fruitaudit.diagnosis.gap.split_pair import class_medians
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_LEAST_EXTRA = 0.7
"""Smallest mean number of further objects worth a change."""


def measure(measurements: Measurements) -> Change | NotRun:
    """As many further copies of the object as its partner shows beyond what the class shows in the lab."""
    pair = measurements.pair
    if reason := immovable(pair):
        return reason
    if not pair.field.separable:
        return measurements.once(guessed_changes)["several"]
    lab, field = measurements.once(layouts)
    classes = np.unique(pair.lab.material.labels)
    lab_counts = dict(zip(classes.tolist(), class_medians(lab.count, pair.lab.material.labels, classes), strict=True))
    expected = np.array([lab_counts[int(label)] for label in pair.lab.material.labels])
    extra = np.nan_to_num(np.maximum(field.count[pair.partner] - expected, 0)).astype(np.int64)
    # Texture parts an object too, now and then: only what the lab does not show counts.
    by_texture = np.nanmean(np.maximum(lab.count - expected, 0))
    if extra.mean() - by_texture < _LEAST_EXTRA:
        return no_difference("pictures show no more objects")
    dose = f"{extra.mean():.1f} further copies of the object on average, at most {extra.max()}"
    return several_change(pair, extra, dose)


def undo(measurements: Measurements) -> Change | NotRun:
    """All parts but the largest replaced by what is behind them."""
    if reason := without_masks(measurements.pair):
        return reason

    def apply(layers: Layers, _: IntArray) -> Layers:
        alpha = []
        for a in layers.alpha:
            _, regions, stats, _ = cv2.connectedComponentsWithStats((a > 0.5).astype(np.uint8), connectivity=8)
            largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if len(stats) > 1 else 0
            kept_region = cv2.dilate((regions == largest).astype(np.uint8), np.ones((3, 3), np.uint8))
            alpha.append(np.where(kept_region, a, 0))
        return replace(layers, alpha=np.stack(alpha).astype(np.float32))

    return Change("several", "all objects but the largest removed", apply)


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(
        f"Collect and label photos with several objects of a class, or classify one crop per object; measured: {dose}.",
        limits="All objects of a training picture must be of its class.",
    )


FACTORS = (
    Factor(
        name="several",
        title="Several objects",
        sentence="several objects in one picture",
        order=40,
        stage="place",
        measured="the number of parts of each mask, told apart by gaps and edges",
        applied="further copies of the object",
        undone="all objects but the largest removed",
        measure=measure,
        undo=undo,
        remedy=remedy,
        claims=("layout",),
    ),
)
