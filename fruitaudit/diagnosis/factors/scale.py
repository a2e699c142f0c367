"""Size and place of the object in the picture."""

from __future__ import annotations

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import TRAIN, Change, Factor, Measurements, no_difference, without_masks
from fruitaudit.diagnosis.factors.guessed_layout import guessed_changes, immovable, layout_guess
from fruitaudit.diagnosis.factors.layout import layouts
from fruitaudit.diagnosis.factors.placing import scale_change
from fruitaudit.diagnosis.gap.split_pair import class_medians, excess_spread
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

_LEAST_SCALE = 0.15
"""Smallest |log| of the size ratio worth a change."""
_LEAST_OFFSET = 0.04
"""Smallest excess deviation of the object's place, in image sides, worth a change."""
_SCALES = (0.15, 3.0)
"""Smallest and largest factor by which an object is resized."""
_ZOOMS = (0.3, 6.0)
"""Smallest and largest factor by which a field photo is enlarged."""
_PLACE_GUESSED = "where the object lies is not known, so that this speaks neither for the cause nor against it"


def measure(measurements: Measurements) -> Change | NotRun:
    """Each object resized by the ratio of the class medians and moved as far off the middle as its partner."""
    pair = measurements.pair
    if reason := immovable(pair):
        return reason
    if not pair.field.separable:
        return measurements.once(guessed_changes)["scale"]
    lab, field = measurements.once(layouts)
    classes = np.intersect1d(pair.lab.material.labels, pair.field.material.labels)
    lab_sizes, field_sizes = (np.log(layout.side) for layout in (lab, field))
    ratio = np.nanmedian(
        class_medians(field_sizes, pair.field.material.labels, classes)
        - class_medians(lab_sizes, pair.lab.material.labels, classes)
    )
    deviations = field_sizes - np.nanmedian(field_sizes)
    variation = np.nan_to_num(deviations[pair.partner]) * excess_spread(lab_sizes - np.nanmedian(lab_sizes), deviations)
    offset_excess = [excess_spread(lab.centre[:, k], field.centre[:, k]) for k in range(2)]
    offsets = np.nan_to_num(field.centre[pair.partner]) * offset_excess
    if abs(ratio) < _LEAST_SCALE and variation.std() < _LEAST_SCALE and offsets.std() < _LEAST_OFFSET:
        return no_difference("objects are as large and lie as central")
    scales = np.exp(np.clip(ratio + variation, *np.log(_SCALES)))
    low, high = np.quantile(scales, [0.1, 0.9])
    sizes = " to ".join(dict.fromkeys(f"{scale:.2f}" for scale in (low, high)))
    dose = f"objects at {sizes} of their size, up to {np.abs(offsets).max():.2f} image sides off the middle"
    return scale_change(scales, offsets, dose)


def undo(measurements: Measurements) -> Change | NotRun:
    """Cropped, with what is around it, until the object is as large as the lab's median and in the middle.

    Where the layout was only guessed, the middle of the photo is cropped by the guessed size.
    """
    pair, guess = measurements.pair, measurements.once(layout_guess)
    if guess is None and (reason := without_masks(pair)):
        return reason
    lab, field = measurements.once(layouts)
    target = float(np.nanmedian(lab.side))
    zoom = np.nan_to_num(np.clip(target / field.side, *_ZOOMS), nan=1.0)
    if guess is not None:
        zoom = np.full(len(zoom), 1 / guess.scale)
    centre = np.nan_to_num(field.centre) * (guess is None)

    def apply(layers: Layers, rows: IntArray) -> Layers:
        height, width = layers.alpha.shape[1:]

        def crop(k: int, image: FloatArray) -> FloatArray:
            z, (cx, cy) = zoom[rows[k]], centre[rows[k]]
            x, y = (0.5 + cx) * width, (0.5 + cy) * height
            matrix = np.array([[z, 0, width / 2 - z * x], [0, z, height / 2 - z * y]])
            return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

        return layers.flattened().with_objects(crop)

    where, notes = ("to the object", ()) if guess is None else ("to the middle of the photo", (_PLACE_GUESSED,))
    dose = f"cropped {where}, enlarged {np.median(zoom):.1f} times"
    return Change("scale", dose, apply, notes, guessed=guess is not None)


def remedy(_: Measurements, dose: str) -> Remedy:
    return Remedy(
        f"Crop to the object before classifying (a detector, or a frame on the screen), or {TRAIN}; measured: {dose}.",
        ("keras.layers.RandomZoom(height_factor=(0.0, 1.0), fill_mode='nearest')",
         "keras.layers.RandomTranslation(0.15, 0.15, fill_mode='nearest')"),
        "Objects must stay whole and large enough to be told apart by eye at the model's input size.",
    )  # fmt: skip


FACTORS = (
    Factor(
        name="scale",
        title="Size and place of the object",
        sentence="the size and place of the object in the picture",
        order=30,
        stage="place",
        measured="the largest circle within each object, and the object's centre",
        applied="each object resized, and moved off the middle",
        undone="photos cropped to the object",
        measure=measure,
        undo=undo,
        remedy=remedy,
        claims=("layout",),
    ),
)
