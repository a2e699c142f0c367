"""Light and the object's own colour: how the field's objects differ from the lab's, and the same done to lab images.

What all classes share is light: one gain a channel, as a lamp or a camera's white balance gives. What is left, class
by class, is the object's own colour: hue, variety, ripeness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from fruitaudit.diagnosis.change import Change
from fruitaudit.diagnosis.contrast import Contrast, Side, Values, class_medians, excess_spread
from fruitaudit.diagnosis.layers import Layers
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


@dataclass(frozen=True)
class ObjectColours:
    """Mean `rgb` (N, 3) and relative `contrast` (N,), deviation over mean of luminance, of each image's object."""

    rgb: Values
    contrast: Values


@dataclass(frozen=True)
class ColourShift:
    """`gain` (3,) log gain common to all classes; `turn` degrees of hue common to all classes, 0 where there is none.

    `classes` (K,) are those with objects on both sides; `lab` and `field` (K, 3) their mean colours, the field's with
    the gain taken out.
    """

    gain: Values
    turn: float
    classes: IntArray
    lab: Values
    field: Values

    @property
    def chroma_shift(self) -> Values:
        """(K,) distance of the mean chromas, in CIELAB units."""
        return np.linalg.norm(chroma(self.field) - chroma(self.lab), axis=1)


def object_colours(side: Side) -> ObjectColours:
    """Over the best guess of the object, sure or not; over the whole image where there is no guess."""
    rgb, contrast = [], []
    for image, mask in zip(side.material.pixels, side.masks.values, strict=True):
        inside = image[mask if mask.any() else np.ones_like(mask)].astype(np.float64)
        luminance = inside @ np.array([0.299, 0.587, 0.114])
        rgb.append(inside.mean(axis=0))
        contrast.append(luminance.std() / (luminance.mean() + _DARK))
    return ObjectColours(np.array(rgb), np.array(contrast))


def colour_shift(contrast: Contrast, lab: ObjectColours, field: ObjectColours) -> ColourShift:
    """Light and hue, told apart: the turn of hue after which one gain fits all classes best, if that is much better."""
    labels, there = contrast.lab.material.labels, contrast.field.material.labels
    classes = np.intersect1d(labels, there)
    ours, theirs = (class_medians(c.rgb, y, classes) for c, y in ((lab, labels), (field, there)))
    fits = {int(turn): _fit(turned(ours, float(turn)), theirs) for turn in _TURNS}
    best = min(fits, key=lambda turn: fits[turn][1])
    turn = best if len(classes) >= 3 and fits[best][1] < _BETTER * fits[0][1] else 0
    gain = fits[turn][0]
    return ColourShift(gain, float(turn), classes, ours, np.clip(theirs / np.exp(gain), 0, 255))


def _fit(ours: Values, theirs: Values) -> tuple[Values, float]:
    ratio = np.log(theirs + _DARK) - np.log(ours + _DARK)
    gain = np.median(ratio, axis=0)
    return gain, float(np.abs(ratio - gain).mean())


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
    differs = contrast.field.separable and not 0.8 <= ratio <= 1.25
    steep = float(np.clip(ratio, 0.5, 2.0)) if differs else 1.0
    gains = np.exp(np.clip(shift.gain + own[:, None], -2.5, 2.5)).astype(np.float32)
    if np.abs(shift.gain).max() < _LEAST_GAIN and np.std(own) < _LEAST_GAIN and steep == 1:
        return NotRun(NO_DIFFERENCE.format("objects are as bright, as contrasted and of the same cast"))

    def apply(layers: Layers, rows: IntArray) -> Layers:
        gain = gains[rows][:, None, None]
        objects = _steeper(layers.objects, layers.alpha, steep) * gain
        return replace(layers, objects=np.clip(objects, 0, 255), backgrounds=np.clip(layers.backgrounds * gain, 0, 255))

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
    weight = alpha[..., None]
    mean = (objects * weight).sum(axis=(1, 2), keepdims=True) / np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
    return mean + (objects - mean) * np.float32(factor)


def measure_hue(contrast: Contrast, shift: ColourShift) -> Change | NotRun:
    """The chroma of each class turned and stretched to where the field's lies once light is taken out; object only."""
    if not contrast.field.separable or not contrast.lab.separable:
        return NotRun("the objects' own colour cannot be told from their surroundings: "
                      f"{contrast.field.masks.text} in {contrast.field.material.split}")  # fmt: skip
    far = shift.chroma_shift >= _LEAST_SHIFT
    if not far.any():
        return NotRun(NO_DIFFERENCE.format("once light is taken out, objects have the lab's colours"))
    ours, theirs = (c @ np.array([1, 1j]) for c in (chroma(shift.lab), chroma(shift.field)))
    moves = np.where(far, theirs / np.where(np.abs(ours) < 1, 1, ours), 1)
    moves *= np.clip(np.abs(moves), 0.2, 3) / np.maximum(np.abs(moves), 1e-6)
    by_label = dict(zip(shift.classes.tolist(), moves.tolist(), strict=True))
    labels = contrast.lab.material.labels

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.with_objects(lambda i, image: _move_chroma(image, by_label.get(int(labels[rows[i]]), 1)))

    turns = np.degrees(np.angle(moves[far]))
    dose = (f"{far.sum()} of {len(far)} classes, chroma turned by {np.min(turns):+.0f} to {np.max(turns):+.0f} degrees"
            + (f"; a common turn of hue of {shift.turn:+.0f} degrees fits best" if shift.turn else ""))  # fmt: skip
    return Change("hue", "The objects' own colour", dose, apply)


def _move_chroma(image: FloatArray, move: complex) -> FloatArray:
    if move == 1:
        return image
    lab = cv2.cvtColor(np.clip(image, 0, 255) / np.float32(255), cv2.COLOR_RGB2LAB)
    a, b = lab[..., 1].copy(), lab[..., 2].copy()
    lab[..., 1], lab[..., 2] = a * move.real - b * move.imag, a * move.imag + b * move.real
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255, 0, 255)
