"""A factor taken back on the field's own images: if it is a cause, answers become right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.colour import ColourShift, turned
from fruitaudit.diagnosis.factors.factors import TITLES, Factors
from fruitaudit.diagnosis.factors.layout import layout_of
from fruitaudit.diagnosis.factors.surface import specks
from fruitaudit.diagnosis.gap.change import PLACE_GUESSED, Change
from fruitaudit.diagnosis.gap.contrast import Contrast
from fruitaudit.diagnosis.images.layers import Layers, fill
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import NotRun

Undo = Callable[[Contrast, Factors], Change | NotRun]


def undo(factor: str, contrast: Contrast, factors: Factors) -> Change | NotRun:
    """The change of field images that takes `factor` back, or why there is none."""
    blind = factor == "scale" and factors.guessed is not None
    if factor in _NEEDS_MASKS and not contrast.field.separable and not blind:
        return NotRun(f"it cannot be taken back on the field's photos without sure masks: {contrast.field.masks.text}")
    make = _UNDO.get(factor)
    return make(contrast, factors) if make else NotRun("no operation on a photo takes it back")


def _change(factor: str, dose: str, apply: Callable[[Layers, IntArray], Layers]) -> Change:
    return Change(factor, TITLES[factor], dose, apply)


def _light(_: Contrast, factors: Factors) -> Change:
    gain, behind = (np.exp(-g).astype(np.float32) for g in (factors.shift.gain, factors.shift.behind))

    def apply(layers: Layers, _: IntArray) -> Layers:
        backgrounds = np.clip(layers.backgrounds * behind, 0, 255)
        return replace(layers, objects=np.clip(layers.objects * gain, 0, 255), backgrounds=backgrounds)

    dose = "the measured common gain divided out: " + ", ".join(
        f"{c} x{g:.2f}" for c, g in zip("RGB", gain, strict=True)
    )
    return _change("light", dose, apply)


def _hue(_: Contrast, factors: Factors) -> Change | NotRun:
    shift: ColourShift = factors.shift
    if not shift.turn:
        return NotRun("the colours differ class by class, so that taking it back would need the true class")

    def back(_: int, image: FloatArray) -> FloatArray:
        return turned(image.reshape(-1, 3).astype(np.float64), -shift.turn).reshape(image.shape).astype(np.float32)

    return _change("hue", f"hue turned by {-shift.turn:+.0f} degrees", lambda layers, _: layers.with_objects(back))


def _background(contrast: Contrast, _: Factors) -> Change:
    lab = contrast.lab.cutouts.backgrounds[contrast.lab.sure]
    colour = np.median(lab.reshape(-1, 3), axis=0).astype(np.float32)

    def apply(layers: Layers, _: IntArray) -> Layers:
        return replace(layers, backgrounds=np.broadcast_to(colour, layers.backgrounds.shape))

    named = ", ".join(f"{v:.0f}" for v in colour)
    return _change("background", f"the lab's background colour ({named}) behind the object", apply)


def _scale(contrast: Contrast, factors: Factors) -> Change:
    """Cropped, with what is around it, until the object is as large as the lab's median and in the middle.

    Where the layout was only guessed, the middle of the photo is cropped by the guessed size.
    """
    lab, field = layout_of(contrast.lab), layout_of(contrast.field)
    target = float(np.nanmedian(lab.side))
    zoom = np.nan_to_num(np.clip(target / field.side, 0.3, 6.0), nan=1.0)
    if factors.guessed is not None:
        zoom = np.full(len(zoom), 1 / factors.guessed.scale)
    centre = np.nan_to_num(field.centre) * (factors.guessed is None)

    def apply(layers: Layers, rows: IntArray) -> Layers:
        height, width = layers.alpha.shape[1:]

        def crop(k: int, image: FloatArray) -> FloatArray:
            z, (cx, cy) = zoom[rows[k]], centre[rows[k]]
            x, y = (0.5 + cx) * width, (0.5 + cy) * height
            matrix = np.array([[z, 0, width / 2 - z * x], [0, z, height / 2 - z * y]])
            return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

        return layers.flattened().with_objects(crop)

    where, notes = (
        ("to the object", ()) if factors.guessed is None else ("to the middle of the photo", (PLACE_GUESSED,))
    )
    return replace(_change("scale", f"cropped {where}, enlarged {np.median(zoom):.1f} times", apply), notes=notes)


def _several(_: Contrast, __: Factors) -> Change:
    """All parts but the largest replaced by what is behind them."""

    def apply(layers: Layers, _: IntArray) -> Layers:
        alpha = []
        for a in layers.alpha:
            _, regions, stats, _ = cv2.connectedComponentsWithStats((a > 0.5).astype(np.uint8), connectivity=8)
            largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if len(stats) > 1 else 0
            keep = cv2.dilate((regions == largest).astype(np.uint8), np.ones((3, 3), np.uint8))
            alpha.append(np.where(keep, a, 0))
        return replace(layers, alpha=np.stack(alpha).astype(np.float32))

    return _change("several", "all objects but the largest removed", apply)


def _wetness(_: Contrast, __: Factors) -> Change:
    def dry(_: int, image: FloatArray) -> FloatArray:
        spots = cv2.dilate(specks(np.clip(image, 0, 255).astype(np.uint8)).astype(np.uint8), np.ones((3, 3), np.uint8))
        return fill(image, spots == 0) if spots.any() else image

    return _change(
        "wetness", "specks painted over with what surrounds them", lambda layers, _: layers.with_objects(dry)
    )


def _blur(_: Contrast, __: Factors) -> Change:
    def sharpen(_: int, image: FloatArray) -> FloatArray:
        return np.clip(image + 1.5 * (image - cv2.GaussianBlur(image, (0, 0), 1.5)), 0, 255)

    return _change(
        "blur", "unsharp mask, 1.5 pixels, 150 %", lambda layers, _: layers.flattened().with_objects(sharpen)
    )


def _noise(_: Contrast, __: Factors) -> Change:
    def smooth(_: int, image: FloatArray) -> FloatArray:
        return cv2.bilateralFilter(image, 5, 30, 2)

    return _change("noise", "bilateral filter of 5 pixels", lambda layers, _: layers.flattened().with_objects(smooth))


_UNDO: dict[str, Undo] = {"light": _light, "hue": _hue, "background": _background, "scale": _scale,
                          "several": _several, "wetness": _wetness, "blur": _blur, "noise": _noise}  # fmt: skip
_NEEDS_MASKS = ("hue", "background", "scale", "several", "wetness")
