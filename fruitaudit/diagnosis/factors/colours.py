"""Of which colour the objects are, and how far light alone explains that the field's differ from the lab's.

What all classes share is light: one gain per channel, as a lamp or a camera's white balance gives. What is left, class
by class, is the object's own colour: hue, variety, ripeness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.base import Measurements
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, SplitPair, class_medians
from fruitaudit.records.data import DoubleArray, IntArray

LEAST_GAIN = 0.05
"""Smallest |log gain| worth a change: 5 % of brightness."""
_TURNS = np.arange(-180, 180, 10)
_BETTER = 0.6
"""A common turn of hue must leave less than this share of what light alone leaves unexplained."""
DARK = 2.0
"""Added to colours of 255 before their logarithm, so that black stays finite."""
_INNER = 0.35
"""Depth from which a pixel is inner, of the largest depth in the mask."""
_LEAST_CORE = 12
"""Pixels that must be left of a mask for its rim to be dropped."""
_AGREE = 0.25
"""Largest difference of log gains at which background and objects are said to be under the same light."""


@dataclass(frozen=True)
class ObjectColours:
    """Of each image's object: mean `rgb` (N, 3); `contrast` (N,), deviation over mean of luminance.

    `cielab` and `spread` (N, 3) are mean and deviation in CIELAB.
    """

    rgb: DoubleArray
    contrast: DoubleArray
    cielab: DoubleArray
    spread: DoubleArray


@dataclass(frozen=True)
class ColourShift:
    """`gain` (3,) log gain of the objects, common to all classes, and `background_gain` of their background.

    `turn`: degrees of hue common to all classes, 0 where there is none. `classes` (K,) are those with objects on both
    sides; `lab` and `field` (K, 3) their mean colours, the field's with the gain taken out.
    """

    gain: DoubleArray
    background_gain: DoubleArray
    turn: float
    classes: IntArray
    lab: DoubleArray
    field: DoubleArray

    @property
    def chroma_shift(self) -> DoubleArray:
        """(K,) distance of the mean chromas, in CIELAB units."""
        return np.asarray(np.linalg.norm(chroma(self.field) - chroma(self.lab), axis=1), np.float64)


def object_colours(side: MaskedSplit, *, inner: bool = True) -> ObjectColours:
    """Over the best guess of the object, sure or not; over the whole image where there is no guess.

    `inner`: over its inner part only. Else over all of it but the outline: what a photo filled with objects shows.
    """
    rgb, contrast, means, spreads = [], [], [], []
    for image, mask in zip(side.material.pixels, side.masks.values, strict=True):
        inside = image[core_of(mask) if inner else _eroded(mask)].astype(np.float32)
        luminance = inside @ np.array([0.299, 0.587, 0.114])
        cielab = cv2.cvtColor(inside[None] / 255, cv2.COLOR_RGB2LAB)[0]
        rgb.append(inside.mean(axis=0))
        contrast.append(luminance.std() / (luminance.mean() + DARK))
        means.append(cielab.mean(axis=0))
        spreads.append(cielab.std(axis=0))
    return ObjectColours(*(np.array(part, np.float64) for part in (rgb, contrast, means, spreads)))


def colours(measurements: Measurements) -> tuple[ObjectColours, ObjectColours]:
    """Of the lab's and of the field's objects: over their inner part, where the field's can be cut out."""
    pair = measurements.pair
    inner = pair.field.separable
    return object_colours(pair.lab, inner=inner), object_colours(pair.field, inner=inner)


def shift(measurements: Measurements) -> ColourShift:
    """That of the contrast as it is."""
    return colour_shift(measurements.pair, *measurements.once(colours))


def core_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The inner part of the mask: its rim is half background, and much of it where the photo is blurred."""
    if not mask.any():
        return np.ones_like(mask)
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    core: npt.NDArray[np.bool_] = depth >= max(2.0, _INNER * float(depth.max()))
    return core if core.sum() >= _LEAST_CORE else mask


def _eroded(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask without the pixels of its outline, which are half background."""
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return eroded if eroded.any() else np.ones_like(mask)


def colour_shift(pair: SplitPair, lab: ObjectColours, field: ObjectColours) -> ColourShift:
    """Light and hue, told apart: the turn of hue after which one gain fits all classes best, if that is much better."""
    lab_labels, field_labels = pair.lab.material.labels, pair.field.material.labels
    classes = np.intersect1d(lab_labels, field_labels)
    lab_rgb, field_rgb = (class_medians(c.rgb, y, classes) for c, y in ((lab, lab_labels), (field, field_labels)))
    fits = {int(turn): _fit(rotated_hue(lab_rgb, float(turn)), field_rgb) for turn in _TURNS}
    best = min(fits, key=lambda turn: fits[turn][1])
    turn = best if len(classes) >= 3 and fits[best][1] < _BETTER * fits[0][1] else 0
    gain = background_gain = fits[turn][0]
    anchor = _background_gain(pair)
    if anchor is not None and _same_surface(anchor, gain):
        gain = background_gain = (
            anchor  # the same surface on both sides tells the light better than fruit that may differ
        )
    elif anchor is not None and np.abs(anchor - gain).max() <= _AGREE:
        background_gain = anchor  # shaded bodies lose more than what lies flat
    return ColourShift(gain, background_gain, float(turn), classes, lab_rgb, np.clip(field_rgb / np.exp(gain), 0, 255))


def _fit(lab: DoubleArray, field: DoubleArray) -> tuple[DoubleArray, float]:
    ratio = np.log(field + DARK) - np.log(lab + DARK)
    gain = np.median(ratio, axis=0)
    return gain, float(np.abs(ratio - gain).mean())


def _background_gain(pair: SplitPair) -> DoubleArray | None:
    """(3,) log gain from the lab's to the field's background, where both are uniform; else None."""
    colours = []
    for side in (pair.lab, pair.field):
        uniform = [i for i in side.sure if side.masks.origins[i] == "uniform"]
        if len(uniform) < 0.8 * len(side.material):
            return None
        borders = side.material.pixels[uniform][:, [0, -1]].reshape(len(uniform), -1, 3)
        colours.append(np.median(np.median(borders, axis=1), axis=0))
    return np.log(colours[1] + DARK) - np.log(colours[0] + DARK)


def _same_surface(anchor: DoubleArray, gain: DoubleArray) -> bool:
    """The background has not changed at all, so less light is ruled out; more of it might be hidden by white."""
    return bool(np.abs(anchor).max() < LEAST_GAIN and gain.min() < LEAST_GAIN)


def rotated_hue(rgb: DoubleArray, degrees: float) -> DoubleArray:
    """(K, 3) colours with their hue turned about the grey axis (in YIQ, which keeps the luminance)."""
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.linalg.inv(to_yiq) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ to_yiq
    return np.clip(rgb @ turn.T, 0, 255)


def chroma(rgb: DoubleArray) -> DoubleArray:
    """(K, 3) 8-bit colours -> (K, 2), a* and b* of CIELAB."""
    lab = cv2.cvtColor(np.asarray(rgb, np.float32)[None] / 255, cv2.COLOR_RGB2LAB)
    return lab[0, :, 1:].astype(np.float64)
