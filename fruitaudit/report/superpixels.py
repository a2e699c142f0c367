"""The three views of an explanation by superpixels (LIME): what counts, for or against, and how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from fruitaudit.records.data import ByteArray, FloatArray
from fruitaudit.report.figures import palette_png

ZOOM = 3
"""Outlines are drawn at this multiple of the map's size, so that they stay thin."""
PRINTED = 10
"""Coefficients printed on the heat map, the largest first."""

HIDDEN = np.array([[0, 0, 0, 0], [226, 230, 236, 255]], dtype=np.uint8)
OUTLINED = np.array([[0, 0, 0, 0], [0, 200, 83, 70], [255, 23, 68, 70], [0, 230, 118, 255], [255, 23, 68, 255]],
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
    """Layers to lay over the picture: `hidden` covers what does not speak for the class, `outlines` edges what was."""

    hidden: str
    outlines: str
    labels: tuple[Label, ...]
    n_segments: int
    n_selected: int


def superpixel_views(segments: npt.NDArray[np.int32], coefficients: FloatArray) -> SuperpixelViews:
    """Views of one image: `segments` (H, W) numbered from 0, `coefficients` (S,), NaN beyond the image's own number."""
    weights = np.nan_to_num(coefficients)
    painted = weights[segments]
    covered = (painted <= 0).astype(np.uint8)
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
    for rows in (0, 1, 2):
        for columns in (0, 1, 2):
            edge |= around[rows : rows + large.shape[0], columns : columns + large.shape[1]] != large
    kind = np.where(sign > 0, 1, np.where(sign < 0, 2, 0))
    return np.where(edge & (kind > 0), kind + 2, kind).astype(np.uint8)


def _labels(segments: npt.NDArray[np.int32], weights: FloatArray) -> tuple[Label, ...]:
    height, width = segments.shape
    labels: list[Label] = []
    for index in np.argsort(-np.abs(weights), kind="stable")[:PRINTED]:
        rows, columns = np.nonzero(segments == index)
        if not weights[index] or not rows.size:
            continue
        # The superpixel's own pixel nearest its centre: a crescent's centre lies outside it.
        nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
        x, y = 100 * (columns[nearest] + 0.5) / width, 100 * (rows[nearest] + 0.5) / height
        value = float(weights[index])
        text = ("+" if value > 0 else "") + f"{value:.2g}".replace("-", "\u2212")
        labels.append(Label(float(np.clip(x, 12, 88)), _free(labels, float(x), float(y)), text, value > 0))
    return tuple(labels)


def _free(labels: Sequence[Label], x: float, y: float) -> float:
    """The height nearest `y` at which a label at `x` lies on no other."""
    for shift in (0, 8, -8, 16, -16, 24, -24):
        at = float(np.clip(y + shift, 4, 96))
        if all(abs(other.y - at) >= 7.5 or abs(other.x - x) >= 24 for other in labels):
            return at
    return y
