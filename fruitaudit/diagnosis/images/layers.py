"""Images as layers: object, its alpha, what lies behind; each can be changed alone and all put together again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.images.masks import SURE, Masks
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import BoolArray, ByteArray, FloatArray, IntArray

_SOFT = 0.7
"""Standard deviation, in pixels, of the blur that softens a mask's edge."""
_LEAST_DISTANCE = 20.0
"""Distance of 8-bit RGB from which an object's colour tells its share of a pixel of the rim."""


@dataclass(frozen=True)
class Layers:
    """`objects` and `backgrounds` (N, H, W, 3) float32 0..255; `alpha` (N, H, W) float32, 1 where the object covers."""

    objects: FloatArray
    alpha: FloatArray
    backgrounds: FloatArray

    def flat(self) -> ByteArray:
        """(N, H, W, 3) uint8: the object laid on what is behind it."""
        # Image by image, so that all of one stays in the processor's cache; convertScaleAbs rounds and cuts at 255.
        return np.stack([cv2.convertScaleAbs(np.maximum(image, 0)) for image in self._composed()])

    def flattened(self) -> Layers:
        """One opaque layer: for what a camera does to the whole picture."""
        return Layers(self._composed(), np.ones_like(self.alpha), self.backgrounds)

    def _composed(self) -> FloatArray:
        if self.alpha.min(initial=1) == 1:  # flattened before
            return self.objects
        parts = zip(self.objects, self.backgrounds, self.alpha, strict=True)
        return np.stack([_blend(over, under, alpha) for over, under, alpha in parts])

    def __len__(self) -> int:
        return len(self.alpha)

    def with_objects(self, change: Callable[[int, FloatArray], npt.NDArray[np.generic]]) -> Layers:
        """Every object layer changed by `change(i, object)`."""
        objects = [change(i, image) for i, image in enumerate(self.objects)]
        return replace(self, objects=np.stack(objects).astype(np.float32))


def _blend(over: FloatArray, under: FloatArray, alpha: FloatArray) -> FloatArray:
    return np.asarray(cv2.blendLinear(over, np.ascontiguousarray(under), alpha, 1 - alpha), np.float32)


@dataclass(frozen=True)
class Cutouts:
    """All images of a split cut into layers once; colours rounded to 8 bits, which takes a quarter of the memory."""

    objects: ByteArray
    alpha: FloatArray
    backgrounds: ByteArray

    @classmethod
    def of(cls, material: SplitSample, masks: Masks) -> Cutouts:
        """An unsure mask gives one opaque layer over itself."""
        objects, backgrounds = np.empty_like(material.pixels), np.empty_like(material.pixels)
        alpha = np.empty(material.pixels.shape[:3], np.float32)
        for i, (image, mask) in enumerate(zip(material.pixels, masks.values, strict=True)):
            over, alpha[i], under = _cut(image, mask, bool(masks.confidence[i] >= SURE))
            objects[i], backgrounds[i] = np.rint(over), np.rint(under)
        return cls(objects, alpha, backgrounds)

    def __getitem__(self, rows: IntArray) -> Layers:
        objects, backgrounds = (part[rows].astype(np.float32) for part in (self.objects, self.backgrounds))
        return Layers(objects, self.alpha[rows], backgrounds)


def _cut(image: ByteArray, mask: BoolArray, sure: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    pixels = image.astype(np.float32)
    if not sure:
        return pixels, np.ones(mask.shape, np.float32), pixels
    cross = np.ones((3, 3), np.uint8)
    inside = cv2.erode(mask.astype(np.uint8), cross).astype(bool)
    outside = ~cv2.dilate(mask.astype(np.uint8), cross, iterations=2).astype(bool)
    if not inside.any() or not outside.any():
        return pixels, mask.astype(np.float32), pixels
    # Pixels of the rim are a mixture of both: each layer takes its colours from farther in.
    objects, backgrounds = fill(pixels, inside), fill(pixels, outside)
    alpha = _matte(pixels, objects, backgrounds, mask)
    alpha[inside], alpha[outside] = 1.0, 0.0
    return objects, alpha, backgrounds


def _matte(pixels: FloatArray, objects: FloatArray, backgrounds: FloatArray, mask: BoolArray) -> FloatArray:
    """(H, W) how much of each pixel is object: (I - B) . (F - B) / |F - B|^2; the softened mask where F is near B."""
    difference = objects - backgrounds
    size = (difference * difference).sum(axis=2)
    mixed = ((pixels - backgrounds) * difference).sum(axis=2) / np.maximum(size, 1.0)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _SOFT)
    return np.clip(np.where(size >= _LEAST_DISTANCE**2, mixed, soft), 0, 1).astype(np.float32)


def fill(image: FloatArray, valid: BoolArray) -> FloatArray:
    """Pixels that are not `valid` from the known ones around them, smoothly. (H, W, 3) -> (H, W, 3).

    Paper: Gortler et al. 1996, SIGGRAPH, "The Lumigraph", section 3.4.1 (pull-push).
    Differs from the paper: OpenCV's area and bilinear filters.
    """
    weight = valid.astype(np.float32)[..., None]
    values, weights = [image * weight], [weight]
    while min(values[-1].shape[:2]) > 2:
        size = (max(1, values[-1].shape[1] // 2), max(1, values[-1].shape[0] // 2))
        values.append(cv2.resize(values[-1], size, interpolation=cv2.INTER_AREA))
        weights.append(cv2.resize(weights[-1], size, interpolation=cv2.INTER_AREA)[..., None])
    total = max(float(weights[-1].sum()), 1e-6)
    filled = np.broadcast_to(values[-1].sum(axis=(0, 1)) / total, values[-1].shape).astype(np.float32)
    for value, level_weight in zip(reversed(values), reversed(weights), strict=True):
        height, width = value.shape[:2]
        coarse = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
        certain = np.minimum(level_weight, 1.0)
        filled = np.where(level_weight > 1e-6, value / np.maximum(level_weight, 1e-6), 0) * certain + coarse * (
            1 - certain
        )
    return filled.astype(np.float32)
