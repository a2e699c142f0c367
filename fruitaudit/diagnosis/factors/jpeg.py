"""JPEG compression: lab images compressed at the field's median quality, at the model's size."""

from __future__ import annotations

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements, no_difference
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import ByteArray, FloatArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_HARMLESS = 90
"""Quality, 1..100, above which compression is not worth a change."""
_LARGER = 1.5
"""How many times larger than the model's input a photo may be compressed without a note."""


def measure(measurements: Measurements) -> Change | NotRun:
    """The median quality, 1..100, told from the files' quantisation tables; 100 where a file is no JPEG."""
    pair = measurements.pair
    lab_quality, field_quality = (int(np.median(side.material.jpeg_quality)) for side in (pair.lab, pair.field))
    if field_quality > _HARMLESS or field_quality >= lab_quality:
        return no_difference(
            f"files are compressed no harder (JPEG quality {field_quality}, lab {lab_quality}; 100 is none)"
        )
    shrink = float(np.median(pair.field.material.sizes.prod(axis=1)) ** 0.5) / pair.side
    notes = () if shrink < _LARGER else (
        f"field photos are {shrink:.1f} times larger when they are compressed, so this overstates the effect",
    )  # fmt: skip

    def apply(layers: Layers, rows: IntArray) -> Layers:
        def compressed(_: int, image: FloatArray) -> ByteArray:
            data = cv2.imencode(".jpg", np.clip(np.rint(image), 0, 255).astype(np.uint8)[..., ::-1],
                                [cv2.IMWRITE_JPEG_QUALITY, field_quality])[1]  # fmt: skip
            return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]

        return layers.flattened().with_objects(compressed)

    return Change("jpeg", f"quality {field_quality}", apply, notes)


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(f"Store photos at JPEG quality 90 or more, or compress the training images alike; measured: {dose}.")


FACTORS = (
    Factor(
        name="jpeg",
        title="JPEG compression",
        sentence="JPEG compression",
        order=90,
        stage="camera",
        measured="the quantisation tables of the files",
        applied="compression at the model's size",
        measure=measure,
        remedy=remedy,
        claims=("camera",),
    ),
)
