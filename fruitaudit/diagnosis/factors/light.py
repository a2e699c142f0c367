"""Light and colour cast: one gain per channel, as a lamp or a camera's white balance gives, and its variation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fruitaudit.diagnosis.factors.base import TRAIN, Change, Factor, Measurements, no_difference
from fruitaudit.diagnosis.factors.colours import DARK, LEAST_GAIN, ObjectColours, colours, shift
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, class_medians, excess_spread
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import DoubleArray, FloatArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_STEEPER = 1.25
"""Ratio of contrasts from which the field's light is harder; less contrast is what blur leaves."""
_STEEPEST = 2.0
_FARTHEST = 2.5
"""Largest |log gain| that is applied."""


def measure(measurements: Measurements) -> Change | NotRun:
    """The common gain, and as much variation of exposure as the field has beyond the lab's, on the whole picture."""
    pair, difference = measurements.pair, measurements.once(shift)
    lab, field = measurements.once(colours)
    lab_exposure, field_exposure = (
        _exposure(c, s, difference.classes) for c, s in ((lab, pair.lab), (field, pair.field))
    )
    spread = excess_spread(lab_exposure, field_exposure)
    exposure = np.nan_to_num(field_exposure[pair.partner]) * spread
    ratio = np.nanmedian(class_medians(field.contrast, pair.field.material.labels, difference.classes)) / max(
        float(np.nanmedian(class_medians(lab.contrast, pair.lab.material.labels, difference.classes))), 1e-3
    )
    # The contrast of a whole photo is not that of its object.
    harder = pair.field.separable and ratio > _STEEPER
    contrast = float(min(ratio, _STEEPEST)) if harder else 1.0
    gains, background_gains = (
        np.exp(np.clip(g + exposure[:, None], -_FARTHEST, _FARTHEST)).astype(np.float32)
        for g in (difference.gain, difference.background_gain)
    )
    if np.abs(difference.gain).max() < LEAST_GAIN and np.std(exposure) < LEAST_GAIN and contrast == 1:
        return no_difference("objects are as bright, as contrasted and of the same cast")

    def apply(layers: Layers, rows: IntArray) -> Layers:
        gain, background_gain = gains[rows][:, None, None], background_gains[rows][:, None, None]
        objects, backgrounds = (
            _steeper(layers.objects, layers.alpha, contrast) * gain,
            layers.backgrounds * background_gain,
        )
        np.clip(objects, 0, 255, out=objects)
        np.clip(backgrounds, 0, 255, out=backgrounds)
        return replace(layers, objects=objects, backgrounds=backgrounds)

    percent = ", ".join(f"{name} x{g:.2f}" for name, g in zip("RGB", np.exp(difference.gain), strict=True))
    dose = f"{percent}; exposure varies by {100 * np.std(exposure):.0f} % more; object contrast x{contrast:.2f}"
    return Change("light", dose, apply)


def _exposure(objects: ObjectColours, side: MaskedSplit, classes: IntArray) -> DoubleArray:
    """(N,) log brightness of each object about the median of its class."""
    bright = np.log(objects.rgb.mean(axis=1) + DARK)
    labels = side.material.labels
    deviations = np.full(len(bright), np.nan)
    for c, median in zip(classes, class_medians(bright, labels, classes), strict=True):
        deviations[labels == c] = bright[labels == c] - median
    return deviations


def _steeper(objects: FloatArray, alpha: FloatArray, factor: float) -> FloatArray:
    if factor == 1:
        return objects
    sums, areas = np.einsum("nhwc,nhw->nc", objects, alpha), np.maximum(alpha.sum(axis=(1, 2)), 1)
    mean = (sums / areas[:, None])[:, None, None]
    return objects * np.float32(factor) + mean * np.float32(1 - factor)


def undo(measurements: Measurements) -> Change:
    """The measured gain, common to all images, divided out of objects and backgrounds."""
    difference = measurements.once(shift)
    gain, background_gain = (np.exp(-g).astype(np.float32) for g in (difference.gain, difference.background_gain))

    def apply(layers: Layers, _: IntArray) -> Layers:
        backgrounds = np.clip(layers.backgrounds * background_gain, 0, 255)
        return replace(layers, objects=np.clip(layers.objects * gain, 0, 255), backgrounds=backgrounds)

    dose = "the measured common gain divided out: " + ", ".join(
        f"{c} x{g:.2f}" for c, g in zip("RGB", gain, strict=True)
    )
    return Change("light", dose, apply)


def remedy(measurements: Measurements, dose: str) -> Remedy:
    reach = float(np.clip(np.abs(1 - np.exp(measurements.once(shift).gain)).max() + 0.1, 0.1, 0.8))
    return Remedy(
        f"Fix the camera's exposure and white balance, or {TRAIN}; measured: {dose}.",
        (f"keras.layers.RandomBrightness({reach:.2f})", "keras.layers.RandomContrast(0.3)",
         "keras.layers.RandomSaturation(0.3)"),
        "No hue shift where colour tells the classes apart.",
    )  # fmt: skip


FACTORS = (
    Factor(
        name="light",
        title="Light and colour cast",
        sentence="light and colour cast",
        order=20,
        stage="light",
        measured="the gain of each channel that all classes share, and how far exposure varies",
        applied="that gain, and each image's own exposure",
        undone="the common gain divided out",
        measure=measure,
        undo=undo,
        remedy=remedy,
        claims=("camera",),
    ),
)
