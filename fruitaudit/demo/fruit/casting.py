"""Orthographic ray casting: where a part of a fruit lies, and where rays meet it.

View coordinates: x right, y up, z towards the camera. Body coordinates: y is the fruit's axis, stem end up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fruitaudit.records.data import FloatArray


class Hit(NamedTuple):
    """Where rays meet a part, for the N pixels that meet it."""

    rows: np.ndarray
    columns: np.ndarray
    z: FloatArray
    """(N,) depth in pixels."""
    normals: FloatArray
    """(3, N) unit vectors in view coordinates."""
    body: FloatArray
    """(3, N) body coordinates."""
    along: FloatArray
    """(N,) polar angle 0 (stem end) .. pi of a star; 0..1 along a tube."""
    around: FloatArray
    """(N,) angle about the axis, -pi..pi."""


@dataclass(frozen=True)
class Pose:
    """Where a fruit lies in the picture: p_view = radius * turn @ p_body + centre, in pixels."""

    turn: FloatArray
    """(3, 3) rotation."""
    centre: tuple[float, float]
    """(x, y) in pixels, y up from the bottom edge."""
    radius: float
    """Pixels per unit of body length."""
    depth: float = 0.0
    """Lifts a fruit before (positive) or behind its neighbours, in pixels."""


def window_of(centre: tuple[float, float], radius: float, side: int) -> tuple[int, int, int, int] | None:
    """Rows top..bottom and columns left..right that a disc touches; None outside the picture."""
    left, right = max(int(centre[0] - radius), 0), min(int(centre[0] + radius) + 2, side)
    top, bottom = max(int(side - centre[1] - radius), 0), min(int(side - centre[1] + radius) + 2, side)
    return (top, bottom, left, right) if left < right and top < bottom else None
