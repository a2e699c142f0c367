"""The objects' own colour, class by class, once light is taken out: hue, variety, ripeness."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import Change, Factor, Measurements, no_difference, without_masks
from fruitaudit.diagnosis.factors.colours import (
    ColourShift,
    ObjectColours,
    chroma,
    colour_shift,
    colours,
    object_colours,
    rotated_hue,
    shift,
)
from fruitaudit.diagnosis.gap.change import changed_pixels
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, SplitPair
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_LEAST_SHIFT = 7.0
"""Smallest distance of two mean chromas, in CIELAB units, worth a change."""


def measure(measurements: Measurements) -> Change | NotRun:
    """What is left of the objects' colour once they are as wet as the field's."""
    pair, (lab, field) = measurements.pair, measurements.once(colours)
    wetness = measurements.change("wetness")
    if isinstance(wetness, NotRun):
        return _transfer_of(pair, lab, field, measurements.once(shift))
    side = pair.lab
    pixels = changed_pixels(side, [wetness], np.arange(len(side.material)))
    wet_pair = replace(pair, lab=MaskedSplit(replace(side.material, pixels=pixels), side.masks))
    lab = object_colours(wet_pair.lab)
    return _transfer_of(wet_pair, lab, field, colour_shift(wet_pair, lab, field))


def _transfer_of(pair: SplitPair, lab: ObjectColours, field: ObjectColours, difference: ColourShift) -> Change | NotRun:
    """Mean and deviation of each class's colours in CIELAB made the field's, light taken out; on the object only.

    Paper: Reinhard, Ashikhmin, Gooch, Shirley 2001, IEEE Comput. Graph. Appl. 21(5), eq. 10-12.
    Differs from the paper: CIELAB instead of l-alpha-beta; one transfer per class, not per image.
    """
    if not pair.field.separable or not pair.lab.separable:
        return NotRun("the objects' own colour cannot be told from their surroundings: "
                      f"{pair.field.masks.text} in {pair.field.material.split}", code="no_masks")  # fmt: skip
    distant = difference.chroma_shift >= _LEAST_SHIFT
    if not distant.any():
        return no_difference("once light is taken out, objects have the lab's colours")
    transfers = {
        int(c): _transfer(pair, lab, field, difference, k) for k, c in enumerate(difference.classes) if distant[k]
    }
    labels = pair.lab.material.labels

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.with_objects(lambda k, image: _transferred(image, transfers.get(int(labels[rows[k]]))))

    lab_chroma, field_chroma = (chroma(c) @ np.array([1, 1j]) for c in (difference.lab, difference.field))
    turns = np.degrees(np.angle(field_chroma[distant] / lab_chroma[distant]))
    dose = (f"{distant.sum()} of {len(distant)} classes, chroma turned by {np.min(turns):+.0f} to "
            f"{np.max(turns):+.0f} degrees"
            + (f"; a common turn of hue of {difference.turn:+.0f} degrees fits best" if difference.turn else "")
            )  # fmt: skip
    return Change("hue", dose, apply, classes=tuple(transfers))


@dataclass(frozen=True)
class _Transfer:
    """CIELAB (3,) each: x -> (x - `old`) * `ratio` + `new`."""

    old: FloatArray
    ratio: FloatArray
    new: FloatArray


def _transfer(pair: SplitPair, lab: ObjectColours, field: ObjectColours, difference: ColourShift, k: int) -> _Transfer:
    lab_rows = pair.lab.material.labels == difference.classes[k]
    field_rows = pair.field.material.labels == difference.classes[k]
    # The field's mean with its light taken out; deviations are hardly touched by a gain near one.
    new = cv2.cvtColor(difference.field[k][None, None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    old = np.median(lab.cielab[lab_rows], axis=0)
    ratio = np.median(field.spread[field_rows], axis=0) / np.maximum(np.median(lab.spread[lab_rows], axis=0), 1.0)
    return _Transfer(*(np.asarray(part, np.float32) for part in (old, np.clip(ratio, 0.5, 2.0), new)))


def _transferred(image: FloatArray, transfer: _Transfer | None) -> FloatArray:
    if transfer is None:
        return image
    cielab = cv2.cvtColor(np.clip(image, 0, 255) / np.float32(255), cv2.COLOR_RGB2LAB)
    result = (cielab - transfer.old) * transfer.ratio + transfer.new
    return np.clip(cv2.cvtColor(result, cv2.COLOR_LAB2RGB) * 255, 0, 255)


def undo(measurements: Measurements) -> Change | NotRun:
    """The common turn of hue, about the grey axis, turned back."""
    if reason := without_masks(measurements.pair):
        return reason
    degrees = -measurements.once(shift).turn
    if not degrees:
        return NotRun(
            "the colours differ class by class, so that taking it back would need the true class", code="not_applicable"
        )

    def back(_: int, image: FloatArray) -> FloatArray:
        return rotated_hue(image.reshape(-1, 3).astype(np.float64), degrees).reshape(image.shape).astype(np.float32)

    return Change("hue", f"hue turned by {degrees:+.0f} degrees", lambda layers, _: layers.with_objects(back))


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(
        f"Collect and label the varieties and the ripeness that the field shows; measured: {dose}.",
        limits="No random hue: colour tells these classes apart, and a shifted hue would be another class.",
    )


FACTORS = (
    Factor(
        name="hue",
        title="The objects' own colour",
        sentence="the objects' own colour (hue, variety, ripeness)",
        order=50,
        stage="object",
        measured="the distance of each class's mean chroma, light taken out",
        applied="colour transfer in CIELAB, class by class (Reinhard 2001)",
        undone="the hue turned back, where one turn fits all classes",
        measure=measure,
        undo=undo,
        remedy=remedy,
        claims=("variety",),
        of_few=("unseen-variety", "a variety or ripeness of {} that training never showed"),
    ),
)
