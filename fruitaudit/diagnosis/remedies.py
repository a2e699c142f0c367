"""What to do about each cause: a sentence, Keras preprocessing layers where there are such, and the limits of both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fruitaudit.diagnosis.factors.factors import Factors
from fruitaudit.records.diagnosis import Remedy

_TRAIN = "train again with these layers before the model (they act in training only)"


def remedy_of(factor: str, factors: Factors) -> Remedy:
    """For a factor of the gap, at the strength that was measured."""
    change = factors.changes.get(factor)
    return _REMEDIES[factor](factors, change.dose if change else "")


def _light(factors: Factors, dose: str) -> Remedy:
    reach = float(np.clip(np.abs(1 - np.exp(factors.shift.gain)).max() + 0.1, 0.1, 0.8))
    return Remedy(
        f"Fix the camera's exposure and white balance, or {_TRAIN}; measured: {dose}.",
        (f"keras.layers.RandomBrightness({reach:.2f})", "keras.layers.RandomContrast(0.3)",
         "keras.layers.RandomSaturation(0.3)"),
        "No hue shift where colour tells the classes apart.",
    )  # fmt: skip


def _scale(_: Factors, dose: str) -> Remedy:
    return Remedy(
        f"Crop to the object before classifying (a detector, or a frame on the screen), or {_TRAIN}; measured: {dose}.",
        ("keras.layers.RandomZoom(height_factor=(0.0, 1.0), fill_mode='nearest')",
         "keras.layers.RandomTranslation(0.15, 0.15, fill_mode='nearest')"),
        "Objects must stay whole and large enough to be told apart by eye at the model's input size.",
    )  # fmt: skip


def _several(_: Factors, dose: str) -> Remedy:
    return Remedy(
        f"Collect and label photos with several objects of a class, or classify one crop an object; measured: {dose}.",
        limits="All objects of a training picture must be of its class.",
    )


def _background(_: Factors, dose: str) -> Remedy:
    return Remedy(
        "Collect the field's backgrounds (photos of shelves and crates without fruit are enough) and train with lab "
        f"objects put on them, or cut the object out before classifying; measured with: {dose}.",
        limits="A background may not go with one class only, or it becomes a shortcut.",
    )


def _hue(_: Factors, dose: str) -> Remedy:
    return Remedy(
        f"Collect and label the varieties and the ripeness that the field shows; measured: {dose}.",
        limits="No random hue: colour tells these classes apart, and a shifted hue would be another class.",
    )


def _wetness(_: Factors, dose: str) -> Remedy:
    return Remedy(f"Collect wet specimens, or light them so that drops do not shine; measured: {dose}.")


def _blur(_: Factors, dose: str) -> Remedy:
    return Remedy(
        f"Refuse blurred photos at the camera, or {_TRAIN}; measured: {dose}.",
        ("keras.layers.RandomGaussianBlur(factor=0.5, kernel_size=5, sigma=1.0)",),
        "No stronger than a person could still read.",
    )


def _noise(_: Factors, dose: str) -> Remedy:
    return Remedy(f"More light or less gain at the camera, or {_TRAIN}; measured: {dose}.",
                  ("keras.layers.GaussianNoise(0.03)",))  # fmt: skip


def _jpeg(_: Factors, dose: str) -> Remedy:
    return Remedy(f"Store photos at JPEG quality 90 or more, or compress the training images alike; measured: {dose}.")


_REMEDIES: dict[str, Callable[[Factors, str], Remedy]] = {
    "light": _light, "scale": _scale, "several": _several, "background": _background, "hue": _hue,
    "wetness": _wetness, "blur": _blur, "noise": _noise, "jpeg": _jpeg,
}  # fmt: skip
