"""Noise: Gaussian noise as strong as what the field's flattest tiles show beyond the lab's."""

from __future__ import annotations

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import TRAIN, Change, Factor, Measurements, no_difference
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import ByteArray, FloatArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_LEAST_NOISE = 2.0
"""Smallest excess of the noise's deviation, of 255, worth a change."""


def measure(measurements: Measurements) -> Change | NotRun:
    """sigma = sqrt(field^2 - lab^2), of the medians of `noise_of`; independent of each other, variances add."""
    pair = measurements.pair
    lab_noise, field_noise = (
        float(np.median([noise_of(p) for p in side.material.pixels])) for side in (pair.lab, pair.field)
    )
    if field_noise - lab_noise < _LEAST_NOISE:
        return no_difference(f"flat parts are no noisier (deviation {field_noise:.1f}, lab {lab_noise:.1f} of 255)")
    sigma = float(np.sqrt(field_noise**2 - lab_noise**2))
    ids, streams = pair.lab.material.ids, pair.streams

    def apply(layers: Layers, rows: IntArray) -> Layers:
        def noisy(k: int, image: FloatArray) -> FloatArray:
            rng = streams.rng("noise", ids[rows[k]])
            return np.clip(image + rng.normal(0, sigma, image.shape).astype(np.float32), 0, 255)

        return layers.flattened().with_objects(noisy)

    return Change("noise", f"Gaussian, deviation {sigma:.1f} of 255", apply)


def noise_of(image: ByteArray) -> float:
    """Deviation, of 255, of the noise: the lower decile over 8 x 8 tiles of each tile's estimate.

    sigma = sqrt(pi / 2) * mean |I * L| / 6 with L = [[1, -2, 1], [-2, 4, -2], [1, -2, 1]].
    Paper: Immerkaer 1996, Comput. Vis. Image Underst. 64(2), 300-302.
    Differs from the paper: by tiles that are not black, and their lower decile, so that texture is not taken for noise;
    on white, where noise is clipped, half of it is seen.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel))
    size = (max(1, grey.shape[1] // 8), max(1, grey.shape[0] // 8))
    tiles, levels = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (response, grey))
    usable = tiles[levels > 8]
    return float(np.sqrt(np.pi / 2) * np.quantile(usable, 0.1) / 6) if usable.size else 0.0


def undo(_: Measurements) -> Change:
    """A bilateral filter, which smooths what differs little from its neighbours: 30 of 255, 2 pixels."""

    def smooth(_: int, image: FloatArray) -> FloatArray:
        return cv2.bilateralFilter(image, 5, 30, 2)

    dose = "bilateral filter of 5 pixels"
    return Change("noise", dose, lambda layers, _: layers.flattened().with_objects(smooth))


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(f"More light or less gain at the camera, or {TRAIN}; measured: {dose}.",
                  ("keras.layers.GaussianNoise(0.03)",))  # fmt: skip


FACTORS = (
    Factor(
        name="noise",
        title="Noise",
        sentence="noise",
        order=80,
        stage="camera",
        measured="the deviation of the flattest tiles (Immerkaer 1996)",
        applied="Gaussian noise on the whole picture",
        undone="bilateral filter",
        measure=measure,
        undo=undo,
        remedy=remedy,
        claims=("camera",),
    ),
)
