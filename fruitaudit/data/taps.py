"""Which pixels along one side make each new pixel, and how much of it: the kernels of `tf.image.resize`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fruitaudit.config.loaders import Interpolation
from fruitaudit.records.data import FloatArray

_TABLE = 1024
"""TensorFlow looks the bicubic weights up at so many distances, which moves a pixel by up to 0.1 grey levels."""


@dataclass(frozen=True)
class Taps:
    """(new, T): the old pixels that make each new one, and their weights; unused taps have weight 0."""

    indices: npt.NDArray[np.int64]
    weights: FloatArray


@lru_cache(maxsize=256)
def taps_of(interpolation: Interpolation, antialias: bool, old: int, new: int) -> Taps:
    """Of one side of `old` pixels that becomes `new`."""
    if interpolation == "nearest":
        return _nearest(old, new)
    if interpolation == "area":
        return _area(old, new)
    if not antialias and interpolation == "bilinear":
        return _bilinear(old, new)
    if not antialias and interpolation == "bicubic":
        return _bicubic(old, new)
    radius, kernel = _KERNELS[interpolation]
    return _span(old, new, radius, kernel, antialias)


def _centres(old: int, new: int) -> FloatArray:
    """Where the centre of each new pixel lies on the old side, in old pixels; in float32, as TensorFlow has it."""
    return (np.arange(new, dtype=np.float32) + np.float32(0.5)) * (np.float32(old) / np.float32(new))


def _nearest(old: int, new: int) -> Taps:
    indices = np.clip(np.floor(_centres(old, new)), 0, old - 1).astype(np.int64)
    return Taps(indices[:, None], np.ones((new, 1), np.float32))


def _bilinear(old: int, new: int) -> Taps:
    at = _centres(old, new) - np.float32(0.5)
    below = np.floor(at)
    share = (at - below).astype(np.float32)
    indices = np.stack([np.maximum(below, 0), np.minimum(np.ceil(at), old - 1)], 1).astype(np.int64)
    return Taps(indices, np.stack([1 - share, share], 1))


def _bicubic(old: int, new: int) -> Taps:
    """Keys' kernel at a = -1/2; what lies beyond the edge is left out and the rest made to sum to 1."""
    at = _centres(old, new) - np.float32(0.5)
    below = np.floor(at)
    step = np.rint((at - below) * _TABLE) / _TABLE
    distances = np.stack([step + 1, step, 1 - step, 2 - step], 1)
    indices = below.astype(np.int64)[:, None] + np.arange(-1, 3)
    return _normalized(indices, _keys(distances), old)


def _area(old: int, new: int) -> Taps:
    """The share that each old pixel has in a new one; the float32 numbers of TensorFlow are off by 1e-5 of it."""
    scale = np.float32(old) / np.float32(new)
    start = np.arange(new, dtype=np.float32) * scale
    end = np.arange(1, new + 1, dtype=np.float32) * scale
    first = np.floor(start).astype(np.int64)
    indices = first[:, None] + np.arange(int((np.ceil(end) - first).max()))
    left = np.maximum(indices.astype(np.float32), start[:, None])
    right = np.minimum((indices + 1).astype(np.float32), end[:, None])
    within = (indices < start[:, None]) & (indices + 1 > end[:, None])
    weights = np.clip(np.where(within, scale, right - left), 0, None) / scale
    return Taps(np.clip(indices, 0, old - 1), weights.astype(np.float32))


def _span(
    old: int, new: int, radius: float, kernel: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], wide: bool
) -> Taps:
    """`tf.raw_ops.ScaleAndTranslate`: where it shrinks, `wide` stretches the kernel over all old pixels."""
    scale = np.float32(1) / (np.float32(new) / np.float32(old))
    stretch = max(float(scale), 1.0) if wide else 1.0
    centres = ((np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale).astype(np.float64)
    first = np.ceil(centres - radius * stretch - 0.5).astype(np.int64)
    last = np.floor(centres + radius * stretch - 0.5).astype(np.int64)
    indices = first[:, None] + np.arange(int((last - first).max()) + 1)
    weights = kernel(np.abs(indices + 0.5 - centres[:, None]) / stretch)
    weights[indices > last[:, None]] = 0
    return _normalized(indices, weights, old)


def _normalized(indices: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], old: int) -> Taps:
    inside = np.where((indices >= 0) & (indices < old), weights, 0)
    total = inside.sum(axis=1, keepdims=True)
    inside = np.divide(inside, total, out=inside, where=np.abs(total) > 1e-30)
    return Taps(np.clip(indices, 0, old - 1), inside.astype(np.float32))


def _triangle(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(0, 1 - x)


def _keys(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys 1981, IEEE Trans. ASSP 29, 1153-1160, at a = -1/2."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _mitchell(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mitchell and Netravali 1988, SIGGRAPH 22, 221-228, at b = c = 1/3."""
    near = (7 / 6 * x - 2) * x * x + 8 / 9
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _gaussian(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Deviation 1/2, cut off at three of them."""
    return np.where(x < 1.5, np.exp(-2 * x * x), 0.0)


def _lanczos(radius: int) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    return lambda x: np.where(x <= radius, np.sinc(x) * np.sinc(x / radius), 0.0)


_KERNELS: dict[str, tuple[float, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]]] = {
    "bilinear": (1, _triangle),
    "bicubic": (2, _keys),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
    "gaussian": (1.5, _gaussian),
    "mitchellcubic": (2, _mitchell),
}
