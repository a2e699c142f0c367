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
    contrast = measurements.contrast
    if not contrast.lab.separable:
        return NotRun(
            f"no background can be put behind the lab's objects: {contrast.lab.masks.text}; add masks to the data",
            code="no_masks",
        )
    notes: tuple[str, ...] = ()
    field, gain = contrast.field, np.exp(measurements.once(shift).behind).astype(np.float32)
    if field.separable:
        behind, what = field.cutouts.backgrounds, "field backgrounds, objects removed"
        partner = contrast.partner
    else:
        behind = np.stack([cv2.GaussianBlur(p, (0, 0), _BLUR * contrast.side)
                           for p in field.material.pixels])  # fmt: skip
        what = "whole field photos, blurred"
        notes = (f"{field.masks.text} in {field.material.split}: only the coarse colours of its backgrounds are used",)
        partner = contrast.streams.rng("any background").integers(0, len(behind), len(contrast.lab.material))
    behind = np.clip(np.rint(behind / np.maximum(gain, _DIMMEST)), 0, 255).astype(np.uint8)
    if _alike(contrast.lab.cutouts.backgrounds[contrast.lab.sure], behind[partner]):
        return no_difference("backgrounds have the lab's colours and texture")

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return replace(layers, backgrounds=behind[partner[rows]].astype(np.float32))

    return Change("background", what, apply, notes)


def _alike(ours: ByteArray, theirs: ByteArray) -> bool:
    """Whether typical backgrounds differ by less than `_ALIKE`, in mean colour and in texture."""
    means = [b.mean(axis=(1, 2)) for b in (ours, theirs)]
    spreads = [b.std(axis=(1, 2)).mean(axis=1) for b in (ours, theirs)]
    apart = np.linalg.norm(np.median(means[0], axis=0) - means[1], axis=1)
    texture = abs(np.median(spreads[0]) - np.median(spreads[1]))
    return bool(np.median(apart) < _ALIKE * np.sqrt(3) and texture < _ALIKE)


def undo(measurements: Measurements) -> Change | NotRun:
    """The median colour of the lab's backgrounds behind every object."""
    contrast = measurements.contrast
    if blind := without_masks(contrast):
        return blind
    lab = contrast.lab.cutouts.backgrounds[contrast.lab.sure]
    colour = np.median(lab.reshape(-1, 3), axis=0).astype(np.float32)

    def apply(layers: Layers, _: IntArray) -> Layers:
        return replace(layers, backgrounds=np.broadcast_to(colour, layers.backgrounds.shape))

    named = ", ".join(f"{v:.0f}" for v in colour)
    return Change("background", f"the lab's background colour ({named}) behind the object", apply)


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
