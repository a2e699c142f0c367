"""Whether an explanation that was read from a file holds arrays of the axes that its record promises."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fruitaudit.records import evidence, explanations
from fruitaudit.records.explanations import Explanation

_AXES: dict[type, dict[str, str]] = {
    explanations.Maps: {"values": "NHW", "parts": "NHW"},
    explanations.Segments: {"segments": "NHW", "coefficients": "NS"},
    evidence.FeatureLayer: {"channels": "K", "values": "NhwK"},
    evidence.FilterBank: {"values": "yxIO"},
    evidence.Synthetic: {
        "values": "UHWC", "strongest_values": "UHWC", "low": "C", "high": "C", "reached": "U", "strongest": "U",
        "units": "U", "strongest_ids": "U",
    },
    evidence.Counterfactual: {
        "found": "N", "values": "NHWC", "change": "NHWC", "classes": "N", "probabilities": "N", "on_object": "N",
        "vacuous": "N",
    },
    evidence.Counterfactuals: {"low": "C", "high": "C"},
    evidence.Neighbours: {
        "values": "NkHWC", "labels": "Nk", "distances": "Nk", "unusual": "N", "boxes": "Nk24", "low": "C", "high": "C",
    },
}  # fmt: skip
"""Field -> its axes, a letter each; equal letters of a record are equal lengths, N is the number of images, and a
digit is itself."""
_WHOLE = {"segments", "channels", "classes", "labels", "boxes"}
"""Fields of whole numbers; `found` is of truth values, all others are of floats."""
_CLASSES = {evidence.Counterfactual: "classes", evidence.Neighbours: "labels"}


def fits(explanation: Explanation, n_images: int, n_classes: int) -> bool:
    """Whether every array has its axes and kind of number, and every class is one of the model's."""
    records = list(_records(explanation))
    return all(_fits(record, n_images) and _classes_fit(record, n_classes) for record in records)


def _records(value: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield value
        for field in dataclasses.fields(value):
            yield from _records(getattr(value, field.name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from _records(entry)


def _fits(record: Any, n_images: int) -> bool:
    lengths = {"N": n_images}
    for name, axes in _AXES.get(type(record), {}).items():
        value = getattr(record, name)
        for part in value.values() if isinstance(value, Mapping) else [value]:
            shape = part.shape if isinstance(part, np.ndarray) else (len(part),)
            if isinstance(part, np.ndarray) and not _of_kind(part, name):
                return False
            if len(shape) != len(axes):
                return False
            for axis, length in zip(axes, shape, strict=True):
                if length != (int(axis) if axis.isdecimal() else lengths.setdefault(axis, length)):
                    return False
    return not isinstance(record, explanations.Segments) or _numbered(record)


def _of_kind(array: np.ndarray[Any, Any], name: str) -> bool:
    kinds = "iu" if name in _WHOLE else "b" if name == "found" else "f"
    return array.dtype.kind in kinds


def _numbered(record: explanations.Segments) -> bool:
    segments = record.segments
    return segments.size == 0 or (segments.min() >= 0 and segments.max() < record.coefficients.shape[1])


def _classes_fit(record: Any, n_classes: int) -> bool:
    if isinstance(record, explanations.Maps):
        return all(type(k) is int and 0 <= k < n_classes for k in record.classes.values())
    if type(record) not in _CLASSES:
        return True
    classes = getattr(record, _CLASSES[type(record)])
    lowest = -1 if isinstance(record, evidence.Counterfactual) else 0
    return classes.size == 0 or (classes.min() >= lowest and classes.max() < n_classes)
