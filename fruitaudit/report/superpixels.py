"""The three views of an explanation by superpixels (LIME): what counts, for or against, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from fruitaudit.records.data import ByteArray, FloatArray
from fruitaudit.report.figures import palette_png
from fruitaudit.report.words import significant

ZOOM = 3
"""Outlines are drawn at this multiple of the map's size, so that they stay thin."""
PRINTED = 10
"""Coefficients printed on the heat map, the largest first."""

HIDDEN = np.array([[0, 0, 0, 0], [226, 230, 236, 255]], dtype=np.uint8)
OUTLINED = np.array([[0, 0, 0, 0], [0, 158, 84, 60], [214, 40, 40, 60], [0, 158, 84, 255], [214, 40, 40, 255]],
                    dtype=np.uint8)  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A printed coefficient and where it stands, in percent of the picture's width and height."""

    x: float
    y: float
    text: str
    positive: bool


@dataclass(frozen=True)
class SuperpixelViews:
    """Layers to lay over the picture: `hidden` covers what was not selected, `outlines` edges what was."""

    hidden: str
    outlines: str
    labels: tuple[Label, ...]
    n_segments: int
    n_selected: int


def superpixel_views(segments: npt.NDArray[np.int32], coefficients: FloatArray) -> SuperpixelViews:
    """Views of one image: `segments` (H, W) numbered from 0, `coefficients` (S,), NaN beyond the image's own number."""
    weights = np.nan_to_num(coefficients)
    painted = weights[segments]
    covered = (painted == 0).astype(np.uint8)
    return SuperpixelViews(
        hidden=palette_png(covered, HIDDEN),
        outlines=palette_png(_outlines(segments, weights), OUTLINED),
        labels=_labels(segments, weights),
        n_segments=int(np.isfinite(coefficients).sum()),
        n_selected=int(np.count_nonzero(weights)),
    )


def _outlines(segments: npt.NDArray[np.int32], weights: FloatArray) -> ByteArray:
    """Palette indices (ZOOM * H, ZOOM * W): a tint inside and an edge around every selected superpixel."""
    height, width = segments.shape
    large = np.asarray(Image.fromarray(segments.astype(np.int32)).resize((width * ZOOM, height * ZOOM), 0))
    sign = np.sign(weights)[large]
    around = np.pad(large, 1, constant_values=-1)
    edge = np.zeros(large.shape, dtype=bool)
    for rows in range(3):
        for columns in range(3):
            edge |= around[rows : rows + large.shape[0], columns : columns + large.shape[1]] != large
    kind = np.where(sign > 0, 1, np.where(sign < 0, 2, 0))
    return np.where(edge & (kind > 0), kind + 2, kind).astype(np.uint8)


def _labels(segments: npt.NDArray[np.int32], weights: FloatArray) -> tuple[Label, ...]:
    height, width = segments.shape
    labels = []
    for index in np.argsort(-np.abs(weights), kind="stable")[:PRINTED]:
        rows, columns = np.nonzero(segments == index)
        if not weights[index] or not rows.size:
            continue
        # The superpixel's own pixel nearest its centre: a crescent's centre lies outside it.
        nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
        x, y = 100 * (columns[nearest] + 0.5) / width, 100 * (rows[nearest] + 0.5) / height
        value = float(weights[index])
        labels.append(Label(float(x), float(y), ("+" if value > 0 else "") + significant(value), value > 0))
    return tuple(labels)
