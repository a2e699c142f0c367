"""The probe of rotation: the object turned by any angle in the picture's plane."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import FloatArray, IntArray


def measure(measurements: Measurements) -> Change:
    """An angle is drawn for each image, 0 to 360 degrees about the picture's middle."""
    pair = measurements.pair
    angles = np.array([pair.streams.rng("rotation", i).uniform(0, 360) for i in pair.lab.material.ids])

    def apply(layers: Layers, rows: IntArray) -> Layers:
        height, width = layers.alpha.shape[1:]

        def turn(image: FloatArray, angle: float, border: int) -> npt.NDArray[np.generic]:
            matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
            return cv2.warpAffine(image, matrix, (width, height), borderMode=border)

        alpha = [turn(a, angles[i], cv2.BORDER_CONSTANT if a.min() < 1 else cv2.BORDER_REPLICATE)
                 for a, i in zip(layers.alpha, rows, strict=True)]  # fmt: skip
        rotated = layers.with_objects(lambda k, image: turn(image, angles[rows[k]], cv2.BORDER_REPLICATE))
        return replace(rotated, alpha=np.stack(alpha).astype(np.float32))

    return Change("rotation", "the object turned by any angle in the picture's plane", apply)


FACTORS = (
    Factor(
        name="rotation",
        title="Rotation",
        sentence="turned objects",
        order=110,
        stage="light",
        measured="a fixed dose: any angle",
        applied="the object turned in the picture's plane",
        measure=measure,
        kind="probe",
    ),
)
