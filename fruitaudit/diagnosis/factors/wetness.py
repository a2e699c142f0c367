"""Wet, glossy skin: lab objects are darkened and get white glints until they shine as much as the field's."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements, no_difference, without_masks
from fruitaudit.diagnosis.factors.colours import core_of, shift
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, SplitPair, class_medians
from fruitaudit.diagnosis.images.layers import Layers, fill
from fruitaudit.records.data import ByteArray, DoubleArray, FloatArray, IntArray
from fruitaudit.records.diagnosis import Remedy
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


def measure(measurements: Measurements) -> Change | NotRun:
    """Skin darkened as the field's is, with white glints on its brightest parts, until it glints as much.

    Water darkens a matt surface and makes it shine (Lekner, Dorf 1988, Appl. Opt. 27(7), 1278-1280).
    """
    pair, difference = measurements.pair, measurements.once(shift)
    if not pair.lab.separable or not pair.field.separable:
        return NotRun(
            f"the shine of objects needs masks: {pair.field.masks.text} in {pair.field.material.split}",
            code="no_masks",
        )
    lab_skins, field_skins = (_skins(side) for side in (pair.lab, pair.field))
    labels = pair.lab.material.labels, pair.field.material.labels
    medians = [
        class_medians(skin, y, difference.classes) for skin, y in zip((lab_skins, field_skins), labels, strict=True)
    ]
    excess = float(np.nanmedian(medians[1][:, 0] - medians[0][:, 0]))
    if not excess >= _LEAST_GLINT:
        return no_difference(f"objects glint no more ({excess:+.0f} of 255 of whitening)")
    darkening = float(np.exp(np.nanmedian(medians[1][:, 1] - medians[0][:, 1]) - difference.gain.mean()))
    brightness = float(np.clip(darkening, _DARKEST, 1.0))
    places = [_glints(pair, i) for i in range(len(pair.lab.material))]
    strength = _matching(pair, places, brightness, float(np.nanmedian(medians[0][:, 0])) + excess)

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.with_objects(lambda k, image: _wet(image, places[rows[k]], brightness, strength))

    dose = f"skin at {100 * brightness:.0f} % of its brightness, white glints of strength {strength:.1f}"
    return Change("wetness", dose, apply)


def glint_of(image: ByteArray, inside: npt.NDArray[np.bool_]) -> float:
    """How much whiter an object's whitest percent is: the 99 % point of median minus saturation, of 255."""
    saturation = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1][inside].astype(np.float64)
    return float(np.quantile(np.median(saturation) - saturation, 0.99))


def _skins(side: MaskedSplit) -> DoubleArray:
    """(N, 2) glint and log median luminance of each object; NaN where it is too small or its mask not sure."""
    skins = np.full((len(side.material), 2), np.nan)
    for i in side.sure:
        inside = core_of(side.masks.values[i])
        if inside.sum() >= _LEAST_AREA:
            image = side.material.pixels[i]
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[inside]
            skins[i] = glint_of(image, inside), np.log(float(np.median(grey)) + 2)
    return skins


def _glints(pair: SplitPair, i: int) -> FloatArray:
    """(H, W) 0..1 where the object of image i would shine: its brightest tenth, and drops at random."""
    image, mask = pair.lab.material.pixels[i], pair.lab.masks.values[i]
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.015 * pair.side)
    inside = core_of(mask)
    low, high = np.quantile(grey[inside], [0.88, 0.995])
    shine = np.clip((grey - low) / max(float(high - low), 1.0), 0, 1)
    drops = pair.streams.rng("wetness", pair.lab.material.ids[i]).random(mask.shape) < _DROPS
    soft = cv2.GaussianBlur(drops.astype(np.float32), (0, 0), 0.6) * (2 * np.pi * 0.36)
    return np.where(inside, np.clip(np.maximum(shine, 0.7 * soft), 0, 1), 0).astype(np.float32)


def _wet(image: FloatArray, glints: FloatArray, brightness: float, strength: float) -> FloatArray:
    skin = image * np.float32(brightness)
    return skin + (255 - skin) * (np.float32(strength) * glints[..., None])


def _matching(pair: SplitPair, places: list[FloatArray], brightness: float, glint: float) -> float:
    """The strength at which lab objects glint as much as wanted, by interpolation between ten."""
    side = pair.lab
    rows = side.sure[:: max(1, len(side.sure) // _TRIED)]
    lab_glints = []
    for strength in _STRENGTHS:
        images = [
            _wet(side.material.pixels[i].astype(np.float32), places[i], brightness, float(strength)) for i in rows
        ]
        glints = [glint_of(np.clip(w, 0, 255).astype(np.uint8), core_of(side.masks.values[i]))
                  for w, i in zip(images, rows, strict=True)]  # fmt: skip
        lab_glints.append(float(np.median(glints)))
    return float(np.interp(glint, np.maximum.accumulate(lab_glints), _STRENGTHS))


def specks(image: ByteArray) -> npt.NDArray[np.bool_]:
    """(H, W): small spots brighter than what surrounds them by 28 of 255 or more (white top-hat of 5 x 5)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((5, 5), np.uint8)) >= _STANDS_OUT


def undo(measurements: Measurements) -> Change | NotRun:
    """Specks, and the pixels around them, filled from what surrounds them."""
    if reason := without_masks(measurements.pair):
        return reason

    def dry(_: int, image: FloatArray) -> FloatArray:
        spots = cv2.dilate(specks(np.clip(image, 0, 255).astype(np.uint8)).astype(np.uint8), np.ones((3, 3), np.uint8))
        return fill(image, spots == 0) if spots.any() else image

    dose = "specks painted over with what surrounds them"
    return Change("wetness", dose, lambda layers, _: layers.with_objects(dry))


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(f"Collect wet specimens, or light them so that drops do not shine; measured: {dose}.")


FACTORS = (
    Factor(
        name="wetness",
        title="Wetness (shine)",
        sentence="wet, glossy skin",
        order=60,
        stage="object",
        measured="how much whiter each object's whitest percent is",
        applied="skin darkened, with white glints on its brightest parts",
        undone="specks painted over",
        measure=measure,
        undo=undo,
        remedy=remedy,
    ),
)
