"""What lies on the object or hides it: specular dots as on wet skin, and the probes occlusion, rotation and grey."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.colour import NO_DIFFERENCE, ColourShift, core_of
from fruitaudit.diagnosis.gap.change import Change
from fruitaudit.diagnosis.gap.contrast import Contrast, Side, Values, class_medians
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import ByteArray, FloatArray, IntArray
from fruitaudit.records.states import NotRun

_LEAST_GLINT = 10.0
"""Smallest excess of the glint (of 255) worth a change."""
_DARKEST = 0.6
_DROPS = 0.01
"""Share of an object's pixels in which a drop begins."""
_LEAST_AREA = 40
"""Inner pixels of an object from which its shine can be told."""
_STRENGTHS = np.linspace(0.0, 0.9, 10)
_TRIED = 64
_STANDS_OUT = 28
"""How much brighter than its surroundings, of 255, a speck is."""


def measure_wetness(contrast: Contrast, shift: ColourShift) -> Change | NotRun:
    """Skin darkened as the field's is, with white glints on its brightest parts, until it glints as much.

    Water darkens a matt surface and makes it shine (Lekner, Dorf 1988, Appl. Opt. 27(7), 1278-1280).
    """
    if not contrast.lab.separable or not contrast.field.separable:
        return NotRun(
            f"the shine of objects needs masks: {contrast.field.masks.text} in {contrast.field.material.split}"
        )
    ours, theirs = (_skins(side) for side in (contrast.lab, contrast.field))
    labels = contrast.lab.material.labels, contrast.field.material.labels
    medians = [class_medians(skin, y, shift.classes) for skin, y in zip((ours, theirs), labels, strict=True)]
    excess = float(np.nanmedian(medians[1][:, 0] - medians[0][:, 0]))
    if not excess >= _LEAST_GLINT:
        return NotRun(NO_DIFFERENCE.format(f"objects glint no more ({excess:+.0f} of 255 of whitening)"))
    fall = float(np.exp(np.nanmedian(medians[1][:, 1] - medians[0][:, 1]) - shift.gain.mean()))
    dark = float(np.clip(fall, _DARKEST, 1.0))
    places = [_glints(contrast, i) for i in range(len(contrast.lab.material))]
    strength = _matching(contrast, places, dark, float(np.nanmedian(medians[0][:, 0])) + excess)

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.with_objects(lambda k, image: _wet(image, places[rows[k]], dark, strength))

    dose = f"skin at {100 * dark:.0f} % of its brightness, white glints of strength {strength:.1f}"
    return Change("wetness", "Wetness (shine)", dose, apply)


def glint_of(image: ByteArray, inside: npt.NDArray[np.bool_]) -> float:
    """How much whiter an object's whitest percent is: the 99 % point of median minus saturation, of 255."""
    saturation = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1][inside].astype(np.float64)
    return float(np.quantile(np.median(saturation) - saturation, 0.99))


def _skins(side: Side) -> Values:
    """(N, 2) glint and log median luminance of each object; NaN where it is too small or its mask not sure."""
    found = np.full((len(side.material), 2), np.nan)
    for i in side.sure:
        inside = core_of(side.masks.values[i])
        if inside.sum() >= _LEAST_AREA:
            image = side.material.pixels[i]
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[inside]
            found[i] = glint_of(image, inside), np.log(float(np.median(grey)) + 2)
    return found


def _glints(contrast: Contrast, i: int) -> FloatArray:
    """(H, W) 0..1 where the object of image i would shine: its brightest tenth, and drops at random."""
    image, mask = contrast.lab.material.pixels[i], contrast.lab.masks.values[i]
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.015 * contrast.side)
    inside = core_of(mask)
    low, high = np.quantile(grey[inside], [0.88, 0.995])
    shine = np.clip((grey - low) / max(float(high - low), 1.0), 0, 1)
    drops = contrast.streams.rng("wetness", contrast.lab.material.ids[i]).random(mask.shape) < _DROPS
    soft = cv2.GaussianBlur(drops.astype(np.float32), (0, 0), 0.6) * (2 * np.pi * 0.36)
    return np.where(inside, np.clip(np.maximum(shine, 0.7 * soft), 0, 1), 0).astype(np.float32)


def _wet(image: FloatArray, glints: FloatArray, dark: float, strength: float) -> FloatArray:
    wet = image * np.float32(dark)
    return wet + (255 - wet) * (np.float32(strength) * glints[..., None])


def _matching(contrast: Contrast, places: list[FloatArray], dark: float, wanted: float) -> float:
    """The strength at which lab objects glint as much as wanted, by interpolation between ten."""
    side = contrast.lab
    rows = side.sure[:: max(1, len(side.sure) // _TRIED)]
    reached = []
    for strength in _STRENGTHS:
        wet = [_wet(side.material.pixels[i].astype(np.float32), places[i], dark, float(strength)) for i in rows]
        glints = [glint_of(np.clip(w, 0, 255).astype(np.uint8), core_of(side.masks.values[i]))
                  for w, i in zip(wet, rows, strict=True)]  # fmt: skip
        reached.append(float(np.median(glints)))
    return float(np.interp(wanted, np.maximum.accumulate(reached), _STRENGTHS))


def specks(image: ByteArray) -> npt.NDArray[np.bool_]:
    """(H, W): small spots brighter than what surrounds them by 28 of 255 or more (white top-hat of 5 x 5)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((5, 5), np.uint8)) >= _STANDS_OUT


def probes(contrast: Contrast) -> tuple[Change | NotRun, ...]:
    """What no statistic of the field gives a dose for: how sensitive the model is, at a fixed dose."""
    return _occlusion(contrast), _rotation(contrast), _grey()


def _occlusion(contrast: Contrast, share: float = 0.25) -> Change | NotRun:
    if not contrast.lab.separable:
        return NotRun(f"what hides an object needs its mask: {contrast.lab.masks.text}")
    angles = _drawn(contrast, "occlusion", 0, 2 * np.pi)

    def apply(layers: Layers, rows: IntArray) -> Layers:
        alpha = np.stack([_hidden(a, angles[i], share) for a, i in zip(layers.alpha, rows, strict=True)])
        return replace(layers, alpha=alpha)

    dose = f"{100 * share:.0f} % of the object hidden, from one side"
    return Change("occlusion", "Partial occlusion", dose, apply)


def _hidden(alpha: FloatArray, angle: float, share: float) -> FloatArray:
    y, x = np.nonzero(alpha > 0.5)
    if not len(y):
        return alpha
    along = x * np.cos(angle) + y * np.sin(angle)
    yy, xx = np.indices(alpha.shape)
    return np.where(xx * np.cos(angle) + yy * np.sin(angle) > np.quantile(along, 1 - share), 0, alpha).astype(
        np.float32
    )


def _rotation(contrast: Contrast) -> Change:
    angles = _drawn(contrast, "rotation", 0, 360)

    def apply(layers: Layers, rows: IntArray) -> Layers:
        height, width = layers.alpha.shape[1:]

        def turn(image: FloatArray, angle: float, border: int) -> npt.NDArray[np.generic]:
            matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
            return cv2.warpAffine(image, matrix, (width, height), borderMode=border)

        alpha = [turn(a, angles[i], cv2.BORDER_CONSTANT if a.min() < 1 else cv2.BORDER_REPLICATE)
                 for a, i in zip(layers.alpha, rows, strict=True)]  # fmt: skip
        turned = layers.with_objects(lambda k, image: turn(image, angles[rows[k]], cv2.BORDER_REPLICATE))
        return replace(turned, alpha=np.stack(alpha).astype(np.float32))

    return Change("rotation", "Rotation", "the object turned by any angle in the picture's plane", apply)


def _grey() -> Change:
    def apply(layers: Layers, _: IntArray) -> Layers:
        def to_grey(image: FloatArray) -> npt.NDArray[np.generic]:
            return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)

        return layers.flattened().with_objects(lambda _, image: to_grey(image))

    return Change("grey", "No colour", "colour removed, luminance kept", apply)


def _drawn(contrast: Contrast, purpose: str, low: float, high: float) -> Values:
    return np.array([contrast.streams.rng(purpose, i).uniform(low, high) for i in contrast.lab.material.ids])
