"""Objects resized, moved and repeated within their layers."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import DoubleArray, FloatArray, IntArray

PILE = 99
"""Copies of an object by which the whole picture is filled with it."""


def scale_change(scales: DoubleArray, offsets: DoubleArray, dose: str, notes: tuple[str, ...] = ()) -> Change:
    """`scales` (N,), `offsets` (N, 2) in image sides, of each lab image."""

    def apply(layers: Layers, rows: IntArray) -> Layers:
        placements = [
            _placed(layers.objects[k], layers.alpha[k], float(scales[i]), offsets[i]) for k, i in enumerate(rows)
        ]
        objects, alpha = (np.stack(part) for part in zip(*placements, strict=True))
        return replace(layers, objects=objects, alpha=alpha)

    return Change("scale", dose, apply, notes)


def _placed(
    image: FloatArray, alpha: FloatArray, scale: float, offset: npt.NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    height, width = alpha.shape
    total = max(float(alpha.sum()), 1e-6)
    x = float((alpha.sum(axis=0) @ np.arange(width)) / total)
    y = float((alpha.sum(axis=1) @ np.arange(height)) / total)
    to_x, to_y = x + offset[0] * width, y + offset[1] * height
    matrix = np.array([[scale, 0, to_x - scale * x], [0, scale, to_y - scale * y]])
    if scale < 0.7:  # averaging first: a warp that shrinks would skip pixels
        sigma = 0.29 / scale
        image, alpha = (
            cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for part in (image, alpha)
        )
    size = (width, height)
    return (
        cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0),
    )


def several_change(pair: SplitPair, extra: IntArray, dose: str, notes: tuple[str, ...] = ()) -> Change:
    """`extra` (N,) further copies; `PILE` fills the picture."""
    material = pair.lab.material
    rngs = [pair.streams.rng("several objects", sample_id) for sample_id in material.ids]
    places = np.array([rng.uniform(0, 1, (8, 2)) for rng in rngs])

    def apply(layers: Layers, rows: IntArray) -> Layers:
        repetitions = [
            _repeated(layers.objects[k], layers.alpha[k], int(extra[i]), places[i]) for k, i in enumerate(rows)
        ]
        objects, alpha = (np.stack(part) for part in zip(*repetitions, strict=True))
        return replace(layers, objects=objects, alpha=alpha)

    return Change("several", dose, apply, notes)


def _repeated(image: FloatArray, alpha: FloatArray, extra: int, places: DoubleArray) -> tuple[FloatArray, FloatArray]:
    if extra == 0:
        return image, alpha
    rows, columns = (np.flatnonzero(alpha.max(axis=axis) > 0.5) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return image, alpha
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    if extra >= PILE:
        return _tiled(image[box], alpha[box], alpha.shape, places[0])
    height, width = alpha.shape
    centre = np.array([rows.mean() / height, columns.mean() / width])
    total_alpha = alpha
    # Of eight places, again and again the one that is farthest from what is there already.
    clearance = np.linalg.norm(places - centre, axis=1)
    for _ in range(min(extra, len(places))):  # further ones would lie on these
        place = places[int(np.argmax(clearance))]
        clearance = np.minimum(clearance, np.linalg.norm(places - place, axis=1))
        shift = np.array([[1, 0, (place[1] - centre[1]) * width], [0, 1, (place[0] - centre[0]) * height]])
        copy_alpha = cv2.warpAffine(alpha, shift, (width, height), borderValue=0)
        colours = cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        visible_alpha = copy_alpha * (1 - total_alpha)
        image = cv2.blendLinear(image, colours, total_alpha, visible_alpha)
        total_alpha = total_alpha + visible_alpha
    return image, np.minimum(total_alpha, 1)


def _tiled(
    image: FloatArray, alpha: FloatArray, shape: tuple[int, int], place: DoubleArray
) -> tuple[FloatArray, FloatArray]:
    """The object's box repeated in rows, every other one shifted by half a box, from a random beginning."""
    h, w = alpha.shape
    n_columns = shape[1] // w + 3
    colours, covers = [], []
    for row in range(shape[0] // h + 2):
        shift = (row % 2) * (w // 2)
        colours.append(np.roll(np.tile(image, (1, n_columns, 1)), shift, axis=1))
        covers.append(np.roll(np.tile(alpha, (1, n_columns)), shift, axis=1))
    top, left = int(place[0] * h), int(place[1] * w)
    window = slice(top, top + shape[0]), slice(left, left + shape[1])
    return np.concatenate(colours)[window], np.concatenate(covers)[window]
