"""Where objects lie, how large they are and how many: measured on masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.base import Measurements
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit
from fruitaudit.records.data import ByteArray, DoubleArray


@dataclass(frozen=True)
class Layout:
    """Of each image's object (N,).

    `side` is the diameter of the largest circle within one part of it, in image sides; `centre` (N, 2) is in image
    sides from the middle; `count` is the number of parts, told apart by gaps and by edges.
    """

    side: DoubleArray
    centre: DoubleArray
    count: DoubleArray


def layouts(measurements: Measurements) -> tuple[Layout, Layout]:
    """Of the lab and of the field."""
    return layout_of(measurements.pair.lab), layout_of(measurements.pair.field)


def layout_of(side: MaskedSplit) -> Layout:
    """NaN where the mask is not sure."""
    n = len(side.material)
    sides, centres, counts = np.full(n, np.nan), np.full((n, 2), np.nan), np.full(n, np.nan)
    for i in side.sure:
        mask = side.masks.values[i]
        radius, counts[i] = _parts(side.material.pixels[i], mask)
        sides[i] = 2 * radius / np.sqrt(mask.size)
        y, x = np.nonzero(mask)
        centres[i] = x.mean() / mask.shape[1] - 0.5, y.mean() / mask.shape[0] - 0.5
    return Layout(sides, centres, counts)


def _parts(image: ByteArray, mask: npt.NDArray[np.bool_]) -> tuple[float, int]:
    """Radius of the largest part in pixels, and how many parts are at least half as wide.

    Edges are looked for at the object's own brightness, so that a dark photo does not join what a bright one parts.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    level = np.clip(grey * (128 / max(float(grey[mask].mean()), 8)), 0, 255).astype(np.uint8)
    edges = cv2.Canny(cv2.GaussianBlur(level, (0, 0), 1.0), 50, 130) > 0
    depth = cv2.distanceTransform(np.pad(mask & ~edges, 1).astype(np.uint8), cv2.DIST_L2, 3)
    radius = float(depth.max())
    number, _ = cv2.connectedComponents((depth >= 0.5 * radius).astype(np.uint8), connectivity=8)
    if number <= 2:  # one part: its edges are texture
        radius = float(cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
    # The distance to the next pixel's centre is half a pixel more than that to the outline.
    return max(radius - 0.5, 0.5), number - 1
