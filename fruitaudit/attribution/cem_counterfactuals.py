"""Counterfactuals from the changes that a search returned: each is checked by the model once more, and measured."""

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
class SearchResult:
    """Changes of one mode. `origin` (N, H, W, C) in model input is what `change` (0..1 colour) is added to."""

    mode: CemMode
    origin: FloatArray
    change: FloatArray
    success: npt.NDArray[np.bool_]
    further: Mapping[str, FloatArray]
    """Numbers about the search, (N,) each."""


def counterfactuals(
    model: Model,
    images: Images,
    targets: Targets,
    results: Sequence[SearchResult],
    *,
    reconstructions: FloatArray | None = None,
    notes: tuple[str, ...] = (),
) -> Counterfactuals:
    """All modes as one explanation, with diagnostics "pn_l1" and so on."""
    parts = tuple(_counterfactual(model, images, targets, result) for result in results)
    span = images.high - images.low
    diagnostics: dict[str, FloatArray] = {}
    for part, result in zip(parts, results, strict=True):
        change = part.change / span
        norms = {"l1": abs(change).sum(axis=(1, 2, 3)), "l2": (change**2).sum(axis=(1, 2, 3)) ** 0.5}
        diagnostics |= {f"{result.mode.lower()}_{name}": row for name, row in (norms | dict(result.further)).items()}
    if reconstructions is not None:
        error = ((reconstructions - images.values) / span) ** 2
        diagnostics["reconstruction_error"] = error.mean(axis=(1, 2, 3)) ** 0.5
    counts = (f"{part.mode} found for {part.found.sum()} of {len(images)} images" for part in parts)
    return Counterfactuals(parts, images.low, images.high, reconstructions, diagnostics, (*counts, *notes))


def _counterfactual(model: Model, images: Images, targets: Targets, result: SearchResult) -> Counterfactual:
    """Classify the changed images again: a counterfactual that the model does not confirm is none."""
    found, span = result.success.copy(), images.high - images.low
    values = result.origin + result.change * span
    classes, probabilities = np.full(len(images), -1), np.full(len(images), np.nan, np.float32)
    if found.any():
        scores = model.probabilities(values[found])
        classes[found], probabilities[found] = scores.argmax(axis=1), scores.max(axis=1)
    found &= (classes == targets.classes) == (result.mode == "PP")
    change = result.change * span
    for numbers in (values, change, probabilities):
        numbers[~found] = np.nan
    classes[~found] = -1
    vacuous = (_vacuous(result.mode, row) if ok else "" for row, ok in zip(result.change, found, strict=True))
    on_object = _on_object(change, images.masks)
    return Counterfactual(result.mode, found, values, change, classes, probabilities, tuple(vacuous), on_object)


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
