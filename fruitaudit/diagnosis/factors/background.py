"""What lies behind the object."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements, no_difference, without_masks
from fruitaudit.diagnosis.factors.colours import shift
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import ByteArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_BLUR = 0.12
"""Blur of a field photo that serves as background although nothing could be cut out of it, in image sides."""
_DIMMEST = 0.05
"""Smallest gain that is divided out of a background."""
_ALIKE = 10
"""Difference of typical backgrounds, of 255, under which they are the same, in mean colour and in texture."""


def measure(measurements: Measurements) -> Change | NotRun:
    """The partner's background behind the lab's object, with the field's light taken out of it (`light` puts it in)."""
    pair = measurements.pair
    if not pair.lab.separable:
        return NotRun(
            f"no background can be put behind the lab's objects: {pair.lab.masks.text}; add masks to the data",
            code="no_masks",
        )
    notes: tuple[str, ...] = ()
    field, gain = pair.field, np.exp(measurements.once(shift).background_gain).astype(np.float32)
    if field.separable:
        backgrounds, dose = field.cutouts.backgrounds, "field backgrounds, objects removed"
        partner = pair.partner
    else:
        backgrounds = np.stack([cv2.GaussianBlur(p, (0, 0), _BLUR * pair.side)
                           for p in field.material.pixels])  # fmt: skip
        dose = "whole field photos, blurred"
        notes = (f"{field.masks.text} in {field.material.split}: only the coarse colours of its backgrounds are used",)
        partner = pair.streams.rng("any background").integers(0, len(backgrounds), len(pair.lab.material))
    backgrounds = np.clip(np.rint(backgrounds / np.maximum(gain, _DIMMEST)), 0, 255).astype(np.uint8)
    if _alike(pair.lab.cutouts.backgrounds[pair.lab.sure], backgrounds[partner]):
        return no_difference("backgrounds have the lab's colours and texture")

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return replace(layers, backgrounds=backgrounds[partner[rows]].astype(np.float32))

    return Change("background", dose, apply, notes)


def _alike(lab: ByteArray, field: ByteArray) -> bool:
    """Whether typical backgrounds differ by less than `_ALIKE`, in mean colour and in texture."""
    means = [b.mean(axis=(1, 2)) for b in (lab, field)]
    spreads = [b.std(axis=(1, 2)).mean(axis=1) for b in (lab, field)]
    distance = np.linalg.norm(np.median(means[0], axis=0) - means[1], axis=1)
    texture = abs(np.median(spreads[0]) - np.median(spreads[1]))
    return bool(np.median(distance) < _ALIKE * np.sqrt(3) and texture < _ALIKE)


def undo(measurements: Measurements) -> Change | NotRun:
    """The median colour of the lab's backgrounds behind every object."""
    pair = measurements.pair
    if reason := without_masks(pair):
        return reason
    lab = pair.lab.cutouts.backgrounds[pair.lab.sure]
    colour = np.median(lab.reshape(-1, 3), axis=0).astype(np.float32)

    def apply(layers: Layers, _: IntArray) -> Layers:
        return replace(layers, backgrounds=np.broadcast_to(colour, layers.backgrounds.shape))

    text = ", ".join(f"{v:.0f}" for v in colour)
    return Change("background", f"the lab's background colour ({text}) behind the object", apply)


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(
        "Collect the field's backgrounds (photos of shelves and crates without fruit are enough) and train with lab "
        f"objects put on them, or cut the object out before classifying; measured with: {dose}.",
        limits="A background may not go with one class only, or it becomes a shortcut.",
    )


FACTORS = (
    Factor(
        name="background",
        title="Background",
        sentence="what lies behind the object",
        order=10,
        stage="surroundings",
        measured="mean colour and texture of backgrounds, light taken out",
        applied="a field photo's background behind the object",
        undone="the lab's background colour behind the object",
        measure=measure,
        undo=undo,
        remedy=remedy,
    ),
)
