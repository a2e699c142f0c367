"""Solid noise: periodic 128 x 128 x 128 volumes that a skin samples at its body's own coordinates.

A texture carved out of a volume turns with the body and has no seam and no pole, unlike a picture wrapped around it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from scipy import fft, ndimage

from fruitaudit.records.data import FloatArray
from fruitaudit.runtime.streams import Streams

SIDE = 128
Grain = Literal["haze", "clouds", "blobs"]


def solid_noise(
    grain: Grain, points: FloatArray, frequency: float, offset: FloatArray, resolution: float
) -> FloatArray:
    """Noise of mean 0 and standard deviation 1 at points (3, N).

    `frequency` is periods a unit of length, `resolution` pixels a unit of length: where a voxel is smaller than
    two pixels it is read as it is, which is five times as fast as interpolating.
    """
    at = (points * np.float32(frequency) + offset[:, None]) * np.float32(SIDE)
    if 2 * frequency * SIDE >= resolution:
        i, j, k = np.floor(at).astype(np.int32) & (SIDE - 1)
        return _volume(grain).take((i * SIDE + j) * SIDE + k)
    return ndimage.map_coordinates(_volume(grain), at, order=1, mode="grid-wrap", output=np.float32)


@cache
def _volume(grain: Grain) -> FloatArray:
    """`haze` is smooth (blush), `clouds` ragged (blotches), `blobs` of one size, about 10 a period (pores, spots)."""
    white = Streams(0).rng("solid noise", grain).standard_normal((SIDE, SIDE, SIDE), dtype=np.float32)
    axis, half = fft.fftfreq(SIDE, 1 / SIDE).astype(np.float32), np.arange(SIDE // 2 + 1, dtype=np.float32)
    k = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + half[None, None, :] ** 2)
    if grain == "blobs":
        weight = np.exp(-(((k - 10) / 2.5) ** 2))
    else:
        weight = np.where(k > 0, (1 + k) ** (-2.2 if grain == "clouds" else -4.0), 0)
    volume = np.asarray(fft.irfftn(fft.rfftn(white) * weight.astype(np.float32)))
    return (volume / volume.std()).astype(np.float32)
