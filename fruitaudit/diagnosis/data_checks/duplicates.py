"""The same photo twice: exactly, by its bytes; nearly, by a perceptual hash and a thumbnail that must both agree.

What counts as near is calibrated on the data's own pairs: as near as an image is to its own copy that was turned by
a degree, moved by half a percent of its side and compressed; but never so near that other classes would count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import ByteArray, DoubleArray, FloatArray, IntArray

SIDE = 16
_COPIES = 64
"""Images whose copies calibrate the threshold."""
_ALIKE_BY_NATURE = 0.01
"""Largest share of images that may have one of another class within the threshold."""


@dataclass(frozen=True)
class Fingerprints:
    """Of N images: `digests` of their pixels, `thumbs` (N, D) float32, `hashes` (N, 64) float32 of -1 and 1."""

    material: SplitSample
    digests: tuple[str, ...]
    thumbs: FloatArray
    hashes: FloatArray

    @classmethod
    def of(cls, material: SplitSample) -> Fingerprints:
        digests = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in material.pixels)
        return cls(material, digests, thumbs(material.pixels), hashes(material.pixels))


@dataclass(frozen=True)
class Limits:
    """Largest distance of one and the same photo: `thumb`, root mean square of 0..255; `bits` of the 64 of a hash."""

    thumb: float
    bits: float


@dataclass(frozen=True)
class Pairs:
    """Rows of the first set with their nearest row of the second; `exact` (P,) where the pixels are equal."""

    first: IntArray
    second: IntArray
    exact: np.ndarray
    distance: DoubleArray


@dataclass(frozen=True)
class ExactPairs:
    """Rows of the first set with an equal row of the second."""

    first: tuple[int, ...]
    second: tuple[int, ...]


def exact_pairs(one: Sequence[str], other: Sequence[str]) -> ExactPairs:
    """Of the digests of two sets: each of `one` that is in `other` too; within one set, each that was there before."""
    first_row: dict[str, int] = {}
    if one is not other:
        for row, digest in enumerate(other):
            first_row.setdefault(digest, row)
        pairs = [(row, first_row[digest]) for row, digest in enumerate(one) if digest in first_row]
    else:
        pairs = [(row, first_row[digest]) for row, digest in enumerate(one) if first_row.setdefault(digest, row) != row]
    return ExactPairs(tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def thumbs(pixels: ByteArray) -> FloatArray:
    """(N, 16 * 16 * 3), scaled so that Euclidean distance is the root mean square difference of pixels."""
    small = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in pixels])
    return (small.reshape(len(pixels), -1) / np.sqrt(SIDE * SIDE * 3)).astype(np.float32)


def hashes(pixels: ByteArray) -> FloatArray:
    """(N, 64) difference hash: the signs of horizontal steps of a 9 x 8 grey thumbnail."""
    rows = []
    for image in pixels:
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA).astype(
            np.int16
        )
        rows.append(np.where(np.diff(grey, axis=1) > 0, 1, -1).ravel())
    return np.array(rows, np.float32)


def calibrate(sets: Sequence[Fingerprints]) -> Limits:
    """From copies of up to 64 images of the first set, and from all pairs of different classes."""
    material = sets[0].material
    rows = np.unique(np.linspace(0, len(material) - 1, _COPIES).astype(np.int64))
    copies = np.stack([_copy(material.pixels[i]) for i in rows])
    thumb = float(np.quantile(np.linalg.norm(thumbs(copies) - sets[0].thumbs[rows], axis=1), 0.95))
    bits = float(np.quantile(_bits(hashes(copies), sets[0].hashes[rows]).diagonal(), 0.95))
    others = [d for one in sets for other in sets for d in _nearest_of_another_class(one, other)]
    if others:
        thumb = min(thumb, float(np.quantile(others, _ALIKE_BY_NATURE)))
    return Limits(thumb, bits)


def near_pairs(one: Fingerprints, other: Fingerprints, limits: Limits) -> Pairs:
    """The nearest image of `other` for each of `one` that is within both limits; within one set, each pair once."""
    distances = _distances(one.thumbs, other.thumbs)
    same = one is other
    if same:
        distances[np.tril_indices(len(distances))] = np.inf
    distances[_bits(one.hashes, other.hashes) > limits.bits] = np.inf
    if not distances.size:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool), np.empty(0))
    nearest = distances.argmin(axis=1)
    rows = np.flatnonzero(distances[np.arange(len(nearest)), nearest] <= limits.thumb)
    exact = np.array([one.digests[i] == other.digests[nearest[i]] for i in rows], bool)
    return Pairs(rows, nearest[rows], exact, distances[rows, nearest[rows]].astype(np.float64))


def _copy(image: ByteArray) -> ByteArray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 1, 1)
    matrix[:, 2] += 0.005 * width, 0.005 * height
    rotated = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    data = cv2.imencode(".jpg", rotated[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def _nearest_of_another_class(one: Fingerprints, other: Fingerprints) -> list[float]:
    distances = _distances(one.thumbs, other.thumbs)
    distances[one.material.labels[:, None] == other.material.labels[None]] = np.inf
    nearest = distances.min(axis=1, initial=np.inf)
    # Equal pixels under two names are a fault of the labels, not of the threshold.
    return [float(d) for d in nearest if np.isfinite(d) and d > 0]


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0))


def _bits(a: FloatArray, b: FloatArray) -> FloatArray:
    return (a.shape[1] - a @ b.T) / 2
