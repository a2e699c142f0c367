"""Where the object is: by the data's own masks, by a uniform background, or by GrabCut, each with a confidence."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import ByteArray, FloatArray, IntArray

MaskOrigin = Literal["data", "uniform", "grabcut"]
_ORIGINS: dict[MaskOrigin, str] = {"data": "the data", "uniform": "its uniform background", "grabcut": "GrabCut"}

SURE = 0.8
"""Confidence from which an object may be cut out."""
_TOLERANCE = 14.0
"""Largest distance of 8-bit RGB at which a pixel still has the background's colour, beside its own spread."""
_AREAS = (0.01, 0.92)
"""Share of the image that an object may cover and still have a background."""
_HALFWAY = 0.4
"""Where an outline is drawn, on the way from the background's colour to the object's."""
_LEAST_BORDER = 0.2
"""Share of the border that a studio background must have."""
_STUDIO = 4.0
"""Largest deviation of a studio background, of 255."""
_GRABCUT_SIDE = 64


@dataclass(frozen=True)
class Masks:
    """`values` (N, H, W) bool; `confidence` (N,) 0..1, 0 where nothing was found; `origins` (N,)."""

    values: npt.NDArray[np.bool_]
    confidence: FloatArray
    origins: tuple[MaskOrigin, ...]

    @property
    def sure(self) -> IntArray:
        """Rows whose mask may be used to cut the object out."""
        return np.flatnonzero(self.confidence >= SURE)

    @property
    def text(self) -> str:
        """How many masks are sure, and where they come from."""
        sure = [self.origins[i] for i in self.sure]
        origins = sorted(dict.fromkeys(sure), key=lambda origin: origin == "grabcut")
        parts = [f"{sure.count(origin)} by {_ORIGINS[origin]}" for origin in origins]
        return f"{len(sure)} of {len(self.confidence)} masks are sure" + (f" ({', '.join(parts)})" if parts else "")

    def select(self, rows: IntArray) -> Masks:
        return Masks(self.values[rows], self.confidence[rows], tuple(self.origins[i] for i in rows))


def find_masks(material: SplitSample) -> Masks:
    """The object of each image. The data's mask is taken as given; the others must earn their confidence."""
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1), thread_name_prefix="masks") as pool:
        results = list(pool.map(_mask, material.pixels, material.data_masks))
    return Masks(
        np.stack([mask for mask, _, _ in results]),
        np.array([confidence for _, confidence, _ in results], np.float32),
        tuple(origin for _, _, origin in results),
    )


def _mask(image: ByteArray, data_mask: ByteArray | None) -> tuple[npt.NDArray[np.bool_], float, MaskOrigin]:
    if data_mask is not None and 0 < data_mask.mean() < 1:
        return data_mask.astype(bool), 1.0, "data"
    mask, confidence = by_uniform_background(image)
    if confidence >= SURE:
        return mask, confidence, "uniform"
    return *by_grabcut(image), "grabcut"


def by_uniform_background(image: ByteArray) -> tuple[npt.NDArray[np.bool_], float]:
    """What differs from the one colour of the border. (H, W, 3) -> mask (H, W), confidence 0..1.

    The confidence is the share of border pixels that have the background's colour. Objects may be cut by the border:
    where the background is as flat as a studio's, no other pixels come near its colour, and it still has a fifth of
    the border, the confidence is 0.9. It is 0 where what is left could not be an object.
    """
    pixels = image.astype(np.float32)
    border = np.concatenate([pixels[:2].reshape(-1, 3), pixels[-2:].reshape(-1, 3), pixels[:, :2].reshape(-1, 3),
                             pixels[:, -2:].reshape(-1, 3)])  # fmt: skip
    colour = _mode(border)
    distance = np.linalg.norm(pixels - colour, axis=2)
    off_border = np.linalg.norm(border - colour, axis=1)
    spread = 1.4826 * float(np.median(off_border[off_border <= 2 * _TOLERANCE]))
    tolerance = _TOLERANCE + 2 * spread
    mask = _joined(distance, tolerance)
    if not _AREAS[0] <= mask.mean() <= _AREAS[1]:
        return mask, 0.0
    # A blurred outline ends halfway between the two colours, not where the last trace of the object does.
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    reach = float(np.median(distance[depth >= 0.5 * depth.max()]))
    mask = _tidy(_joined(distance, max(tolerance, _HALFWAY * reach)))
    share = float((off_border <= tolerance).mean())
    if not _AREAS[0] <= mask.mean() <= _AREAS[1]:
        return mask, 0.0
    flat = float(pixels[distance <= tolerance].std(axis=0).max()) <= _STUDIO
    ambiguous = float(((distance > tolerance) & (distance <= 2.5 * tolerance)).mean())
    if share < SURE and share >= _LEAST_BORDER and flat and ambiguous <= 0.1:
        return mask, 0.9
    return mask, share


def _mode(border: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The median of the pixels in the fullest cell of 32 levels per channel, and around it."""
    cells = (border // 8).astype(np.int64) @ np.array([1024, 32, 1])
    values, counts = np.unique(cells, return_counts=True)
    centre = np.median(border[cells == values[counts.argmax()]], axis=0)
    near = np.linalg.norm(border - centre, axis=1) <= _TOLERANCE
    return np.median(border[near], axis=0)


def _joined(distance: npt.NDArray[np.float32], tolerance: float) -> npt.NDArray[np.bool_]:
    """All but what is near the background's colour and joined to the border: a highlight on the object stays."""
    near = (distance <= tolerance).astype(np.uint8)
    _, regions = cv2.connectedComponents(near, connectivity=4)
    edge = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return ~np.isin(regions, np.setdiff1d(edge, [0])) | (near == 0)


def by_grabcut(image: ByteArray) -> tuple[npt.NDArray[np.bool_], float]:
    """GrabCut from two beginnings; the confidence is how far they agree, times how far object and background differ.

    The beginnings are a frame of 6 % around the image and an ellipse in its middle. Agreement is intersection over
    union; the difference is the separation of the two mean colours in units of their spread, cut at 1.
    Paper: Rother, Kolmogorov, Blake 2004, ACM Trans. Graph. 23(3), "GrabCut".
    Differs from the paper: no user; at most 64 pixels per side.
    """
    height, width = image.shape[:2]
    shrink = min(1.0, _GRABCUT_SIDE / max(height, width))
    small = cv2.resize(image, (max(8, round(width * shrink)), max(8, round(height * shrink))), interpolation=3)
    h, w = small.shape[:2]
    frame = np.full((h, w), cv2.GC_BGD, np.uint8)
    inset_y, inset_x = max(1, round(0.06 * h)), max(1, round(0.06 * w))
    frame[inset_y : h - inset_y, inset_x : w - inset_x] = cv2.GC_PR_FGD
    ellipse = np.full((h, w), cv2.GC_PR_BGD, np.uint8)
    cv2.ellipse(ellipse, (w // 2, h // 2), (round(0.3 * w), round(0.3 * h)), 0, 0, 360, int(cv2.GC_PR_FGD), -1)
    ellipse[[0, -1]] = ellipse[:, 0] = ellipse[:, -1] = cv2.GC_BGD
    from_frame, from_ellipse = (_grabcut(small, start) for start in (frame, ellipse))
    union = (from_frame | from_ellipse).sum()
    agreement = float((from_frame & from_ellipse).sum() / union) if union else 0.0
    mask = _tidy(from_frame & from_ellipse)
    if not _AREAS[0] <= mask.mean() <= _AREAS[1]:
        return cv2.resize(from_frame.astype(np.uint8), (width, height), interpolation=0).astype(bool), 0.0
    inside, outside = (small[region].astype(np.float32) for region in (mask, ~mask))
    spread = np.sqrt((inside.var(axis=0).sum() + outside.var(axis=0).sum()) / 2) + 1.0
    separation = min(1.0, float(np.linalg.norm(inside.mean(axis=0) - outside.mean(axis=0)) / spread))
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=0).astype(bool), agreement * separation


def _grabcut(image: ByteArray, start: ByteArray) -> npt.NDArray[np.bool_]:
    cv2.setRNGSeed(9)  # this thread's: its k-means would otherwise depend on what was cut before
    mask = start.copy()
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(image, mask, None, background, foreground, 3, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # all pixels alike: nothing to cut out
        return np.zeros(mask.shape, bool)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _tidy(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Without specks: parts smaller than a tenth of the largest are dropped."""
    count, regions, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return (areas >= areas.max() / 10)[regions] & (regions > 0)
