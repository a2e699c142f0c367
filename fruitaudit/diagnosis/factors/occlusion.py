"""The probe of partial occlusion: a quarter of the object is hidden, from one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import NotRun

_SHARE = 0.25
"""Share of the object's pixels that is hidden."""


def measure(measurements: Measurements) -> Change | NotRun:
    """The dose is fixed, the side from which the object is hidden is drawn for each image."""
    pair = measurements.pair
    if not pair.lab.separable:
        return NotRun(f"what hides an object needs its mask: {pair.lab.masks.text}", code="no_masks")
    angles = np.array([pair.streams.rng("occlusion", i).uniform(0, 2 * np.pi) for i in pair.lab.material.ids])

    def apply(layers: Layers, rows: IntArray) -> Layers:
        alpha = np.stack([_hidden(a, angles[i], _SHARE) for a, i in zip(layers.alpha, rows, strict=True)])
        return replace(layers, alpha=alpha)

    return Change("occlusion", f"{100 * _SHARE:.0f} % of the object hidden, from one side", apply)


def _hidden(alpha: FloatArray, angle: float, share: float) -> FloatArray:
    y, x = np.nonzero(alpha > 0.5)
    if not len(y):
        return alpha
    along = x * np.cos(angle) + y * np.sin(angle)
    yy, xx = np.indices(alpha.shape)
    return np.where(xx * np.cos(angle) + yy * np.sin(angle) > np.quantile(along, 1 - share), 0, alpha).astype(
        np.float32
    )


FACTORS = (
    Factor(
        name="occlusion",
        title="Partial occlusion",
        sentence="partly hidden objects",
        order=100,
        stage="surroundings",
        measured="a fixed dose: a quarter of the object",
        applied="the object's mask cut off from one side",
        measure=measure,
        kind="probe",
    ),
)
