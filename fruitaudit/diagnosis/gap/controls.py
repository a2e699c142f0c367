"""Controls for each change: disturbances that carry nothing of the field, as far from every image as the change itself.

Any strong disturbance can break a model. What a change costs is its own doing only as far as another disturbance of
the same size costs less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.change import changed_pixels, in_chunks
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.diagnosis.images.split_sample import PixelClassifier
from fruitaudit.records.data import ByteArray, FloatArray, IntArray

Disturb = Callable[[SplitPair, IntArray, FloatArray], ByteArray]
"""(pair, rows, distances of 255) -> the lab images of these rows (N, H, W, 3), each at its root mean square
distance from what it was, or as near to that as black and white allow."""
_COARSE = 12
"""Cells per side of the random pattern: as smooth as light and backgrounds are."""
_TRIES = 6


def control_predictions(
    pixel_classifier: PixelClassifier, pair: SplitPair, changes: Sequence[Change], disturb: Disturb
) -> IntArray:
    """(N,) what the model calls the lab images, each disturbed as far as the changes together take it."""
    lab = pair.lab

    def of_chunk(rows: IntArray) -> IntArray:
        targets = distances(lab.material.pixels[rows], changed_pixels(lab, changes, rows))
        return pixel_classifier.predicted(disturb(pair, rows, targets))

    return np.concatenate(in_chunks(len(lab.material), of_chunk))


def distances(one: ByteArray, other: ByteArray) -> FloatArray:
    """(N,) root mean square difference of each pair of images, of 255."""
    difference = one.astype(np.float32) - other
    return np.sqrt((difference * difference).mean(axis=(1, 2, 3)))


def framed(pair: SplitPair, rows: IntArray, distance: FloatArray) -> ByteArray:
    """A frame, from the border inwards: each of its values black or white, whichever is farther. Nothing is random.

    It spares what most pictures show in their middle, so that a model breaks by it only if size alone breaks it.
    """
    images = pair.lab.material.pixels[rows]
    height, width = images.shape[1:3]
    y, x = np.ogrid[:height, :width]
    depth = np.minimum(np.minimum(y, height - 1 - y) / height, np.minimum(x, width - 1 - x) / width)
    inwards = np.argsort(depth.ravel(), kind="stable")
    farthest = np.where(images > 127, 0, 255).astype(np.uint8)
    squares = ((farthest.astype(np.float32) - images) ** 2).mean(axis=3).reshape(len(rows), -1)[:, inwards]
    reached = np.cumsum(squares, axis=1, dtype=np.float64) / (height * width)
    inside = np.empty(squares.shape, bool)
    inside[:, inwards] = reached <= (distance.astype(np.float64) ** 2)[:, None]
    return np.where(inside.reshape(len(rows), height, width, 1), farthest, images)


def patterned(pair: SplitPair, rows: IntArray, distance: FloatArray) -> ByteArray:
    """A random smooth pattern of colour over the whole picture, the object too, drawn for each image alone."""
    images = pair.lab.material.pixels[rows].astype(np.float32)
    patterns = np.stack([_pattern(pair, i, images.shape[1:3]) for i in rows])
    # Clipping eats some of the pattern: it is made stronger by as much as was missing, until the size is right.
    strength = distance.copy()
    for _ in range(_TRIES):
        pixels = np.clip(np.rint(images + strength[:, None, None, None] * patterns), 0, 255)
        reached = np.sqrt(((pixels - images) ** 2).mean(axis=(1, 2, 3)))
        strength = strength * np.clip(distance / np.maximum(reached, 0.1), 0.5, 3.0)
    return pixels.astype(np.uint8)


def _pattern(pair: SplitPair, row: int, shape: tuple[int, int]) -> FloatArray:
    """(H, W, 3), root mean square 1."""
    rng = pair.streams.rng("control", pair.lab.material.ids[row])
    cells = rng.normal(size=(_COARSE, _COARSE, 3)).astype(np.float32)
    pattern = cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return pattern / np.sqrt((pattern * pattern).mean())
