"""What lies on the object or hides it: specular dots as on wet skin, and the probes occlusion, rotation and grey."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.change import Change
from fruitaudit.diagnosis.colour import NO_DIFFERENCE
from fruitaudit.diagnosis.contrast import Contrast, Side, Values
from fruitaudit.diagnosis.layers import Layers
from fruitaudit.records.data import ByteArray, FloatArray, IntArray
from fruitaudit.records.states import NotRun

_LEAST_SPECKS = 0.004
"""Smallest excess share of the object covered by bright specks worth a change."""
_STANDS_OUT = 28
"""How much brighter than its surroundings, of 255, a speck is."""


def measure_wetness(contrast: Contrast) -> Change | NotRun:
    """Bright dots on the object, until as much of it is covered by specks as in the field."""
    if not contrast.lab.separable or not contrast.field.separable:
        return NotRun(f"specks on objects need masks: {contrast.field.masks.text} in {contrast.field.material.split}")
    here, there = (float(np.median(_speck_shares(side))) for side in (contrast.lab, contrast.field))
    excess = there - here
    if excess < _LEAST_SPECKS:
        return NotRun(NO_DIFFERENCE.format(f"objects carry no more bright specks ({100 * there:.1f} % of their area, "
                                           f"lab {100 * here:.1f} %)"))  # fmt: skip
    radius = max(0.7, 0.012 * contrast.side)
    dots = [_dots(contrast, i, excess, radius) for i in range(len(contrast.lab.material))]

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.with_objects(lambda k, image: image + (255 - image) * dots[rows[k]][..., None])

    dose = f"bright dots on {100 * excess:.1f} % of the object"
    return Change("wetness", "Wetness (bright specks)", dose, apply)


def specks(image: ByteArray) -> npt.NDArray[np.bool_]:
    """(H, W): small spots brighter than what surrounds them by 28 of 255 or more (white top-hat of 5 x 5)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((5, 5), np.uint8)) >= _STANDS_OUT


def _speck_shares(side: Side) -> list[float]:
    shares = []
    for i in side.sure:
        # The rim stands out against a dark background without being wet.
        inside = cv2.erode(side.masks.values[i].astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        if inside.any():
            shares.append(float(specks(side.material.pixels[i])[inside].mean()))
    return shares or [0.0]


def _dots(contrast: Contrast, i: int, share: float, radius: float) -> FloatArray:
    """(H, W) 0..1: Gaussian dots at random places of the object of image i."""
    mask = contrast.lab.masks.values[i]
    rng = contrast.streams.rng("wetness", contrast.lab.material.ids[i])
    places = np.argwhere(mask)
    count = max(1, round(share * len(places) / (np.pi * radius**2)))
    at = places[rng.integers(0, len(places), count)]
    canvas = np.zeros(mask.shape, np.float32)
    canvas[at[:, 0], at[:, 1]] = rng.uniform(0.6, 1.0, count)
    soft = cv2.GaussianBlur(canvas, (0, 0), radius) * (2 * np.pi * radius**2)
    return np.clip(soft, 0, 1)


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
