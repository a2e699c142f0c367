"""A box of a picture at another size, as OpenCV, Pillow or TensorFlow computes it. TensorFlow's ways in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from fruitaudit.config.loaders import Loader
from fruitaudit.data.geometry import Box
from fruitaudit.data.taps import Taps, taps_of
from fruitaudit.records.data import FloatArray

Pixels = npt.NDArray[np.uint8 | np.float32]

_CV2 = {
    "nearest": cv2.INTER_NEAREST_EXACT,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
_PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


def resampled(loader: Loader, pixels: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]) -> Pixels:
    """(h, w) or (h, w, 3) uint8 -> the box at this height and width; float32 from 0 to 255 where nothing is rounded.

    Filters with negative weights may leave that range unless they are rounded.
    """
    values = _RESAMPLE[loader.library](loader, pixels, box, size)
    if values.dtype == np.uint8 or loader.rounding == "none":
        return values
    whole = np.rint(values) if loader.rounding == "nearest" else np.floor(values)
    return np.clip(whole, 0, 255).astype(np.uint8)


def _opencv(loader: Loader, pixels: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]) -> Pixels:
    source: Pixels = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    if loader.rounding == "none":
        source = source.astype(np.float32)
    if box.size == size:
        return source
    how = (
        cv2.INTER_NEAREST
        if (loader.name, loader.interpolation) == ("opencv", "nearest")
        else _CV2[loader.interpolation]
    )
    resized: Pixels = np.asarray(cv2.resize(source, size[::-1], interpolation=how))
    return resized


def _pillow(loader: Loader, pixels: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]) -> Pixels:
    """Its filters reach beyond the box, so that it is not cut out beforehand."""
    edges = (box.left, box.top, box.left + box.width, box.top + box.height)
    image = Image.fromarray(pixels).resize(size[::-1], _PILLOW[loader.interpolation], edges)
    return np.asarray(image)


def _tensorflow(loader: Loader, pixels: npt.NDArray[np.uint8], box: Box, size: tuple[int, int]) -> Pixels:
    source = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    if loader.interpolation == "nearest":
        rows, columns = (taps_of("nearest", False, *sides).indices[:, 0] for sides in zip(box.size, size, strict=True))
        return source[rows[:, None], columns].astype(np.float32)
    vertical, horizontal = (taps_of(loader.interpolation, loader.antialias, *sides)
                            for sides in zip(box.size, size, strict=True))  # fmt: skip
    return _weighted(source, vertical, horizontal)


def _weighted(pixels: npt.NDArray[np.uint8], vertical: Taps, horizontal: Taps) -> FloatArray:
    """Weighted sums of rows, then of columns; of a large picture only what counts is touched.

    Term by term: how a matrix product adds up depends on the machine's threads.
    """
    used, at = np.unique(horizontal.indices, return_inverse=True)
    if 2 * len(used) < pixels.shape[1]:
        rows, at_rows = np.unique(vertical.indices, return_inverse=True)
        pixels = pixels.take(rows, axis=0).take(used, axis=1)
        vertical = replace(vertical, indices=at_rows.reshape(vertical.indices.shape))
        horizontal = replace(horizontal, indices=at.reshape(horizontal.indices.shape))
    height, width, depth = len(vertical.indices), len(horizontal.indices), pixels.shape[2:]
    narrow = np.zeros((height, pixels[0].size), np.float32)
    for indices, weights in zip(vertical.indices.T, vertical.weights.T, strict=True):
        narrow += pixels.take(indices, axis=0).reshape(height, -1) * weights[:, None]
    narrow = narrow.reshape(height, pixels.shape[1], *depth)
    total = np.zeros((height, width * narrow[0, 0].size), np.float32)
    for indices, weights in zip(horizontal.indices.T, horizontal.weights.T, strict=True):
        total += narrow.take(indices, axis=1).reshape(height, -1) * weights.repeat(narrow[0, 0].size)
    return total.reshape(height, width, *depth)


_RESAMPLE: dict[str, Callable[[Loader, npt.NDArray[np.uint8], Box, tuple[int, int]], Pixels]] = {
    "OpenCV": _opencv,
    "Pillow": _pillow,
    "TensorFlow": _tensorflow,
}
