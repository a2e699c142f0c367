"""Dark corners, as a lens that is too narrow gives: a factor that only the tests have, in one file as all others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements, no_difference
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import ByteArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

LEAST = 3.0
"""Smallest loss of brightness in the corners, of 255, worth a change."""


def corners(shape: tuple[int, ...], size: int = 10) -> np.ndarray:
    """(H, W) bool: four triangles."""
    y, x = np.indices(shape)
    return np.minimum(y, shape[0] - 1 - y) + np.minimum(x, shape[1] - 1 - x) < size


def brightness(pixels: ByteArray) -> float:
    return float(np.median(pixels[:, corners(pixels.shape[1:3])].mean(axis=(1, 2))))


def measure(measurements: Measurements) -> Change | NotRun:
    """By how much the field's corners are darker."""
    lab, field = (brightness(s.material.pixels) for s in (measurements.pair.lab, measurements.pair.field))
    if lab - field < LEAST:
        return no_difference(f"corners are no darker ({field:.0f}, lab {lab:.0f} of 255)")
    return Change(
        "vignette", f"corners darker by {lab - field:.0f} of 255", lambda layers, _: shaded(layers, field - lab)
    )


def shaded(layers: Layers, by: float) -> Layers:
    flat = layers.flattened()
    shade = np.where(corners(flat.alpha.shape[1:]), by, 0).astype(np.float32)[..., None]
    return replace(flat, objects=np.clip(flat.objects + shade, 0, 255))


def undo(measurements: Measurements) -> Change:
    def apply(layers: Layers, _: IntArray) -> Layers:
        return shaded(layers, 7)

    return Change("vignette", "corners brightened", apply)


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(f"Take another lens; measured: {dose}.")


FACTORS = (
    Factor(
        name="vignette",
        title="Dark corners",
        sentence="dark corners of the photos",
        order=95,
        stage="camera",
        measured="the brightness of the corners",
        applied="darker corners",
        undone="brighter corners",
        measure=measure,
        undo=undo,
        remedy=remedy,
        claims=("camera", "lens"),
    ),
)
