"""Blurred photos: lab objects get the Gaussian blur after which they are as blurred, by the metric, as the field's."""

from __future__ import annotations

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import TRAIN, Change, Factor, Measurements, no_difference
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.diagnosis.images.sharpness import blur_metric
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_SIGMAS = np.array([0.0, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0])
"""Deviations of the Gaussian that are tried, in pixels; the dose is interpolated between two of them."""
_LEAST_BLUR = 0.04
"""Smallest difference of the blur metric (0..1) worth a change."""


def measure(measurements: Measurements) -> Change | NotRun:
    """The sigma at which the median blur metric of lab objects reaches that of the field's."""
    pair = measurements.pair
    field_blur = float(np.median(_blur_metrics(pair.field)))
    rows = np.arange(0, len(pair.lab.material), max(1, len(pair.lab.material) // 64))
    lab = [(pair.lab.material.pixels[i], _region(pair.lab, int(i))) for i in rows]
    lab_blur = [float(np.median([blur_metric(_blurred(p.astype(np.float32), s), m) for p, m in lab])) for s in _SIGMAS]
    if field_blur - lab_blur[0] < _LEAST_BLUR:
        return no_difference(f"photos are no less sharp (blur metric {field_blur:.2f}, lab {lab_blur[0]:.2f})")
    sigma = float(np.interp(field_blur, np.maximum.accumulate(lab_blur), _SIGMAS))
    dose = f"Gaussian of {sigma:.1f} pixels (blur metric {lab_blur[0]:.2f} in the lab, {field_blur:.2f} in the field)"

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.flattened().with_objects(lambda _, image: _blurred(image, sigma))

    return Change("blur", dose, apply)


def _blur_metrics(side: MaskedSplit) -> list[float]:
    return [blur_metric(image.astype(np.float32), _region(side, i)) for i, image in enumerate(side.material.pixels)]


def _region(side: MaskedSplit, i: int) -> np.ndarray:
    """The object with its outline; the whole image where there is no sure mask."""
    mask = side.masks.values[i]
    if i not in side.sure:
        return np.ones(mask.shape, bool)
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _blurred(image: FloatArray, sigma: float) -> FloatArray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) if sigma > 0 else image


def undo(_: Measurements) -> Change:
    """Unsharp mask, I + 1.5 (I - G * I), G a Gaussian of 1.5 pixels: outlines come back, lost detail does not."""

    def sharpen(_: int, image: FloatArray) -> FloatArray:
        return np.clip(image + 1.5 * (image - cv2.GaussianBlur(image, (0, 0), 1.5)), 0, 255)

    dose = "unsharp mask, 1.5 pixels, 150 %"
    return Change("blur", dose, lambda layers, _: layers.flattened().with_objects(sharpen))


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(
        f"Refuse blurred photos at the camera, or {TRAIN}; measured: {dose}.",
        ("keras.layers.RandomGaussianBlur(factor=0.5, kernel_size=5, sigma=1.0)",),
        "No stronger than a person could still read.",
    )


FACTORS = (
    Factor(
        name="blur",
        title="Sharpness",
        sentence="blurred photos",
        order=70,
        stage="camera",
        measured="the blur metric of objects (Crete 2007)",
        applied="a Gaussian blur of the whole picture",
        undone="unsharp mask",
        measure=measure,
        undo=undo,
        remedy=remedy,
        claims=("camera",),
    ),
)
