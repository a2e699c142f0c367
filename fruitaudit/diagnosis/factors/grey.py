"""The probe of colour: all of it removed."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import FloatArray, IntArray


def measure(_: Measurements) -> Change:
    """Y = 0.299 R + 0.587 G + 0.114 B in all three channels."""

    def apply(layers: Layers, _: IntArray) -> Layers:
        def to_grey(image: FloatArray) -> npt.NDArray[np.generic]:
            return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)

        return layers.flattened().with_objects(lambda _, image: to_grey(image))

    return Change("grey", "colour removed, luminance kept", apply)


FACTORS = (
    Factor(
        name="grey",
        title="No colour",
        sentence="pictures without colour",
        order=120,
        stage="light",
        measured="a fixed dose: all colour",
        applied="luminance in all channels",
        measure=measure,
        kind="probe",
    ),
)
