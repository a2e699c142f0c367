"""From the changes that a search came up with to what is shown: fed to the model once more, judged, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.base import Diagnostic, Model
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.evidence import Counterfactual, Counterfactuals
from fruitaudit.records.explanations import Targets

CemMode = Literal["PN", "PP"]
INVISIBLE = 0.5 / 255
"""Half a step of 8 bits, in 0..1 colour: a smaller change is none in any picture."""


DIAGNOSTICS = (
    *(
        Diagnostic(f"{mode}_{name}", f"{mode} {name}")
        for mode in ("pn", "pp")
        for name in ("l1", "l2", "c", "iterations")
    ),
    Diagnostic("reconstruction_error", "reconstruction error"),
)
"""Of the pertinent negatives and positives; the last one where there is an autoencoder."""


@dataclass(frozen=True)
class Finds:
    """What was found in one mode. `origin` (N, H, W, C) in model input is what `change` (0..1 colour) is added to."""

    mode: CemMode
    origin: FloatArray
    change: FloatArray
    found: npt.NDArray[np.bool_]
    further: Mapping[str, FloatArray]
    """Numbers about the search, (N,) each."""


def counterfactuals(
    model: Model,
    images: Images,
    targets: Targets,
    finds: Sequence[Finds],
    *,
    reconstructions: FloatArray | None = None,
    notes: tuple[str, ...] = (),
) -> Counterfactuals:
    """All modes as one explanation, with diagnostics "pn_l1" and so on."""
    parts = tuple(_judged(model, images, targets, one) for one in finds)
    span = images.high - images.low
    diagnostics: dict[str, FloatArray] = {}
    for part, one in zip(parts, finds, strict=True):
        change = part.change / span
        norms = {"l1": abs(change).sum(axis=(1, 2, 3)), "l2": (change**2).sum(axis=(1, 2, 3)) ** 0.5}
        diagnostics |= {f"{one.mode.lower()}_{name}": values for name, values in (norms | dict(one.further)).items()}
    if reconstructions is not None:
        error = ((reconstructions - images.values) / span) ** 2
        diagnostics["reconstruction_error"] = error.mean(axis=(1, 2, 3)) ** 0.5
    said = (f"{part.mode} found for {part.found.sum()} of {len(images)} images" for part in parts)
    return Counterfactuals(parts, images.low, images.high, reconstructions, diagnostics, (*said, *notes))


def _judged(model: Model, images: Images, targets: Targets, finds: Finds) -> Counterfactual:
    """Feed the finds to the model. One that the model does not confirm was none."""
    found, span = finds.found.copy(), images.high - images.low
    values = finds.origin + finds.change * span
    classes, probabilities = np.full(len(images), -1), np.full(len(images), np.nan, np.float32)
    if found.any():
        answers = model.probabilities(values[found])
        classes[found], probabilities[found] = answers.argmax(axis=1), answers.max(axis=1)
    found &= (classes == targets.classes) == (finds.mode == "PP")
    change = finds.change * span
    for numbers in (values, change, probabilities):
        numbers[~found] = np.nan
    classes[~found] = -1
    vacuous = (_vacuous(finds.mode, one) if ok else "" for one, ok in zip(finds.change, found, strict=True))
    on_object = _on_object(change, images.masks)
    return Counterfactual(finds.mode, found, values, change, classes, probabilities, tuple(vacuous), on_object)


def _vacuous(mode: CemMode, change: FloatArray) -> str:
    if mode == "PN" and not change.any():
        return "the model gives the unchanged image another class"
    if mode == "PP" and abs(change).max() < INVISIBLE:
        return "the image without information is given this class already"
    return ""


def _on_object(change: FloatArray, masks: FloatArray | None) -> FloatArray:
    """Share of |change| inside the mask, (N,)."""
    if masks is None:
        return np.full(len(change), np.nan, np.float32)
    size = abs(change).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return ((size * masks).sum(axis=(1, 2)) / size.sum(axis=(1, 2))).astype(np.float32)
