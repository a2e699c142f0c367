"""Light and the object's own colour: how the field's objects differ from the lab's, and the same done to lab images.

What all classes share is light: one gain a channel, as a lamp or a camera's white balance gives. What is left, class
by class, is the object's own colour: hue, variety, ripeness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.gap.change import Change
from fruitaudit.diagnosis.gap.contrast import Contrast, Side, Values, class_medians, excess_spread
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import NotRun

NO_DIFFERENCE = "the field does not differ from the lab in this: {}"
_LEAST_GAIN = 0.05
"""Smallest |log gain| worth a change: 5 % of brightness."""
_LEAST_SHIFT = 7.0
"""Smallest distance of two mean chromas, in CIELAB units, worth a change."""
_TURNS = np.arange(-180, 180, 10)
_BETTER = 0.6
"""A common turn of hue must leave less than this share of what light alone leaves unexplained."""
_DARK = 2.0
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

    rgb: Values
    contrast: Values
    cielab: Values
    spread: Values


@dataclass(frozen=True)
class ColourShift:
    """`gain` (3,) log gain of the objects, common to all classes, and `behind` of their background.

    `turn`: degrees of hue common to all classes, 0 where there is none. `classes` (K,) are those with objects on both
    sides; `lab` and `field` (K, 3) their mean colours, the field's with the gain taken out.
    """

    gain: Values
    behind: Values
    turn: float
    classes: IntArray
    lab: Values
    field: Values

    @property
    def chroma_shift(self) -> Values:
        """(K,) distance of the mean chromas, in CIELAB units."""
        return np.asarray(np.linalg.norm(chroma(self.field) - chroma(self.lab), axis=1), np.float64)


def object_colours(side: Side, *, inner: bool = True) -> ObjectColours:
    """Over the best guess of the object, sure or not; over the whole image where there is no guess.

    `inner`: over its inner part only. Else over all of it but the outline: what a photo filled with objects shows.
    """
    rgb, contrast, means, spreads = [], [], [], []
    for image, mask in zip(side.material.pixels, side.masks.values, strict=True):
        inside = image[core_of(mask) if inner else _within(mask)].astype(np.float32)
        luminance = inside @ np.array([0.299, 0.587, 0.114])
        cielab = cv2.cvtColor(inside[None] / 255, cv2.COLOR_RGB2LAB)[0]
        rgb.append(inside.mean(axis=0))
        contrast.append(luminance.std() / (luminance.mean() + _DARK))
        means.append(cielab.mean(axis=0))
        spreads.append(cielab.std(axis=0))
    return ObjectColours(*(np.array(part, np.float64) for part in (rgb, contrast, means, spreads)))


def core_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The inner part of the mask: its rim is half background, and much of it where the photo is blurred."""
    if not mask.any():
        return np.ones_like(mask)
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    core: npt.NDArray[np.bool_] = depth >= max(2.0, _INNER * float(depth.max()))
    return core if core.sum() >= _LEAST_CORE else mask


def _within(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask without the pixels of its outline, which are half background."""
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return eroded if eroded.any() else np.ones_like(mask)


def colour_shift(contrast: Contrast, lab: ObjectColours, field: ObjectColours) -> ColourShift:
    """Light and hue, told apart: the turn of hue after which one gain fits all classes best, if that is much better."""
    labels, there = contrast.lab.material.labels, contrast.field.material.labels
    classes = np.intersect1d(labels, there)
    ours, theirs = (class_medians(c.rgb, y, classes) for c, y in ((lab, labels), (field, there)))
    fits = {int(turn): _fit(turned(ours, float(turn)), theirs) for turn in _TURNS}
    best = min(fits, key=lambda turn: fits[turn][1])
    turn = best if len(classes) >= 3 and fits[best][1] < _BETTER * fits[0][1] else 0
    gain = behind = fits[turn][0]
    anchor = _background_gain(contrast)
    if anchor is not None and _same_surface(anchor, gain):
        gain = behind = anchor  # the same surface on both sides tells the light better than fruit that may differ
    elif anchor is not None and np.abs(anchor - gain).max() <= _AGREE:
        behind = anchor  # shaded bodies lose more than what lies flat
    return ColourShift(gain, behind, float(turn), classes, ours, np.clip(theirs / np.exp(gain), 0, 255))


def _fit(ours: Values, theirs: Values) -> tuple[Values, float]:
    ratio = np.log(theirs + _DARK) - np.log(ours + _DARK)
    gain = np.median(ratio, axis=0)
    return gain, float(np.abs(ratio - gain).mean())


def _background_gain(contrast: Contrast) -> Values | None:
    """(3,) log gain from the lab's to the field's background, where both are uniform; else None."""
    colours = []
    for side in (contrast.lab, contrast.field):
        uniform = [i for i in side.sure if side.masks.origins[i] == "uniform background"]
        if len(uniform) < 0.8 * len(side.material):
            return None
        borders = side.material.pixels[uniform][:, [0, -1]].reshape(len(uniform), -1, 3)
        colours.append(np.median(np.median(borders, axis=1), axis=0))
    return np.log(colours[1] + _DARK) - np.log(colours[0] + _DARK)


def _same_surface(anchor: Values, gain: Values) -> bool:
    """The background has not changed at all, so less light is ruled out; more of it might be hidden by white."""
    return bool(np.abs(anchor).max() < _LEAST_GAIN and gain.min() < _LEAST_GAIN)


def turned(rgb: Values, degrees: float) -> Values:
    """(K, 3) colours with their hue turned about the grey axis (in YIQ, which keeps the luminance)."""
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.linalg.inv(to_yiq) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ to_yiq
    return np.clip(rgb @ turn.T, 0, 255)


def chroma(rgb: Values) -> Values:
    """(K, 3) 8-bit colours -> (K, 2), a* and b* of CIELAB."""
    lab = cv2.cvtColor(np.asarray(rgb, np.float32)[None] / 255, cv2.COLOR_RGB2LAB)
    return lab[0, :, 1:].astype(np.float64)


def measure_light(contrast: Contrast, lab: ObjectColours, field: ObjectColours, shift: ColourShift) -> Change | NotRun:
    """The common gain, and as much variation of exposure as the field has beyond the lab's, on the whole picture."""
    ours, theirs = (_exposure(c, s, shift.classes) for c, s in ((lab, contrast.lab), (field, contrast.field)))
    spread = excess_spread(ours, theirs)
    own = np.nan_to_num(theirs[contrast.partner]) * spread
    ratio = np.nanmedian(class_medians(field.contrast, contrast.field.material.labels, shift.classes)) / max(
        float(np.nanmedian(class_medians(lab.contrast, contrast.lab.material.labels, shift.classes))), 1e-3
    )
    # The contrast of a whole photo is not that of its object.
    steeper = contrast.field.separable and ratio > 1.25  # less contrast is what blur leaves
    steep = float(min(ratio, 2.0)) if steeper else 1.0
    gains, behind = (
        np.exp(np.clip(g + own[:, None], -2.5, 2.5)).astype(np.float32) for g in (shift.gain, shift.behind)
    )
    if np.abs(shift.gain).max() < _LEAST_GAIN and np.std(own) < _LEAST_GAIN and steep == 1:
        return NotRun(NO_DIFFERENCE.format("objects are as bright, as contrasted and of the same cast"))

    def apply(layers: Layers, rows: IntArray) -> Layers:
        gain, other = gains[rows][:, None, None], behind[rows][:, None, None]
        objects, backgrounds = _steeper(layers.objects, layers.alpha, steep) * gain, layers.backgrounds * other
        np.clip(objects, 0, 255, out=objects)
        np.clip(backgrounds, 0, 255, out=backgrounds)
        return replace(layers, objects=objects, backgrounds=backgrounds)

    percent = ", ".join(f"{name} x{g:.2f}" for name, g in zip("RGB", np.exp(shift.gain), strict=True))
    dose = f"{percent}; exposure varies by {100 * np.std(own):.0f} % more; object contrast x{steep:.2f}"
    return Change("light", "Light and colour cast", dose, apply)


def _exposure(colours: ObjectColours, side: Side, classes: IntArray) -> Values:
    """(N,) log brightness of each object about the median of its class."""
    bright = np.log(colours.rgb.mean(axis=1) + _DARK)
    labels = side.material.labels
    about = np.full(len(bright), np.nan)
    for c, median in zip(classes, class_medians(bright, labels, classes), strict=True):
        about[labels == c] = bright[labels == c] - median
    return about


def _steeper(objects: FloatArray, alpha: FloatArray, factor: float) -> FloatArray:
    if factor == 1:
        return objects
    sums, areas = np.einsum("nhwc,nhw->nc", objects, alpha), np.maximum(alpha.sum(axis=(1, 2)), 1)
    mean = (sums / areas[:, None])[:, None, None]
    return objects * np.float32(factor) + mean * np.float32(1 - factor)


def measure_hue(contrast: Contrast, lab: ObjectColours, field: ObjectColours, shift: ColourShift) -> Change | NotRun:
    """Mean and deviation of each class's colours in CIELAB made the field's, light taken out; on the object only.

    Paper: Reinhard, Ashikhmin, Gooch, Shirley 2001, IEEE Comput. Graph. Appl. 21(5), eq. 10-12.
    Differs from the paper: CIELAB instead of l-alpha-beta; one transfer a class, not an image.
    """
    if not contrast.field.separable or not contrast.lab.separable:
        return NotRun("the objects' own colour cannot be told from their surroundings: "
                      f"{contrast.field.masks.text} in {contrast.field.material.split}")  # fmt: skip
    far = shift.chroma_shift >= _LEAST_SHIFT
    if not far.any():
        return NotRun(NO_DIFFERENCE.format("once light is taken out, objects have the lab's colours"))
    transfers = {int(c): _transfer(contrast, lab, field, shift, k) for k, c in enumerate(shift.classes) if far[k]}
    labels = contrast.lab.material.labels

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.with_objects(lambda k, image: _transferred(image, transfers.get(int(labels[rows[k]]))))

    ours, theirs = (chroma(c) @ np.array([1, 1j]) for c in (shift.lab, shift.field))
    turns = np.degrees(np.angle(theirs[far] / ours[far]))
    dose = (f"{far.sum()} of {len(far)} classes, chroma turned by {np.min(turns):+.0f} to {np.max(turns):+.0f} degrees"
            + (f"; a common turn of hue of {shift.turn:+.0f} degrees fits best" if shift.turn else ""))  # fmt: skip
    return Change("hue", "The objects' own colour", dose, apply, classes=tuple(transfers))


@dataclass(frozen=True)
class _Transfer:
    """CIELAB (3,) each: x -> (x - `old`) * `ratio` + `new`."""

    old: FloatArray
    ratio: FloatArray
    new: FloatArray


def _transfer(contrast: Contrast, lab: ObjectColours, field: ObjectColours, shift: ColourShift, k: int) -> _Transfer:
    ours = contrast.lab.material.labels == shift.classes[k]
    theirs = contrast.field.material.labels == shift.classes[k]
    # The field's mean with its light taken out; deviations are hardly touched by a gain near one.
    new = cv2.cvtColor(shift.field[k][None, None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    old = np.median(lab.cielab[ours], axis=0)
    ratio = np.median(field.spread[theirs], axis=0) / np.maximum(np.median(lab.spread[ours], axis=0), 1.0)
    return _Transfer(*(np.asarray(part, np.float32) for part in (old, np.clip(ratio, 0.5, 2.0), new)))


def _transferred(image: FloatArray, transfer: _Transfer | None) -> FloatArray:
    if transfer is None:
        return image
    cielab = cv2.cvtColor(np.clip(image, 0, 255) / np.float32(255), cv2.COLOR_RGB2LAB)
    moved = (cielab - transfer.old) * transfer.ratio + transfer.new
    return np.clip(cv2.cvtColor(moved, cv2.COLOR_LAB2RGB) * 255, 0, 255)
