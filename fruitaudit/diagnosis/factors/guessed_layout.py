"""Size and number of objects where nothing can be cut out of the field's photos: the layout that looks most alike.

Lab objects are laid out on coarse field colours at several sizes, once and filling the picture; the layout whose
texture, scale by scale, comes nearest to the field's is taken.
Paper: McFadden 1989, Econometrica 57(5), 995-1026 (simulated moments).
Differs from the paper: a grid of candidates instead of an optimiser; the moments are band energies.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.base import Change, Measurements
from fruitaudit.diagnosis.factors.placing import PILE, scale_change, several_change
from fruitaudit.diagnosis.gap.change import changed
from fruitaudit.diagnosis.gap.contrast import SplitPair
from fruitaudit.records.data import ByteArray, DoubleArray
from fruitaudit.records.states import NotRun

SCALES = (1.0, 0.7, 0.5, 0.35, 0.25)
_TRIED = 48
"""Lab images that each candidate is tried on."""
_BANDS = 4
_SMALLEST = 10
"""Pixels a side that a band must have for its middle and its rim to be told apart."""
_ALSO = ("light", "background", "blur")
"""Factors that are done to every candidate: they need no layout, and change texture."""
_NOTE = "estimated without masks, by the layout whose texture comes nearest to the field's photos"


@dataclass(frozen=True)
class GuessedLayout:
    """`scale` 1 and `pile` False where the lab's own layout comes nearest."""

    scale: float
    pile: bool


def guessed(measurements: Measurements) -> GuessedLayout | None:
    """The field's layout where it has to be estimated without masks; None where it is measured, or cannot be made."""
    contrast = measurements.contrast
    if not contrast.lab.separable or contrast.field.separable:
        return None
    others = (measurements.change(factor) for factor in _ALSO)
    return guess_layout(contrast, tuple(change for change in others if isinstance(change, Change)))


def changes_seen(measurements: Measurements) -> dict[str, Change | NotRun]:
    """By factor, what the guessed layout needs of `scale` and `several`."""
    layout = measurements.once(guessed)
    none = NotRun(
        "the field does not differ from the lab in this, as far as can be told without masks", code="no_difference"
    )
    found = changes_of(measurements.contrast, layout) if layout else {}
    return {factor: found.get(factor, none) for factor in ("scale", "several")}


def immovable(contrast: SplitPair) -> NotRun | None:
    """Why the lab's objects cannot be laid out in another way; None where they can."""
    if contrast.lab.separable:
        return None
    return NotRun(f"no object can be moved or repeated without its mask: {contrast.lab.masks.text}", code="no_masks")


def guess_layout(contrast: SplitPair, others: tuple[Change, ...]) -> GuessedLayout:
    """Of 5 sizes, each once and as a pile; `others` (`_ALSO`) are done to every candidate."""
    rows = np.linspace(0, len(contrast.lab.material) - 1, _TRIED).astype(np.int64)
    field = _moments(contrast.field.material.pixels)
    centre, spread = field.mean(axis=0), field.std(axis=0) + 1e-3
    distances = {}
    for scale in SCALES:
        for pile in (False, True):
            layout = _changes(contrast, GuessedLayout(scale, pile))
            pixels = changed(contrast.lab, (*others, *layout), np.unique(rows))
            distances[scale, pile] = float((((_moments(pixels).mean(axis=0) - centre) / spread) ** 2).sum())
    return GuessedLayout(*min(distances, key=lambda key: distances[key]))


def _changes(contrast: SplitPair, layout: GuessedLayout) -> tuple[Change, ...]:
    """The layout as changes: every object between 0.8 and 1.25 of the guessed size."""
    ids, n = contrast.lab.material.ids, len(contrast.lab.material)
    vary = np.array([contrast.streams.rng("guessed scale", i).uniform(0.8, 1.25) for i in ids])
    found: tuple[Change, ...] = ()
    if layout.scale < 1:
        scales = np.minimum(1.0, layout.scale * vary)
        dose = f"objects at {scales.min():.2f}–{scales.max():.2f} of their size"
        found += (scale_change(scales, np.zeros((n, 2)), dose, (_NOTE,)),)
    if layout.pile:
        found += (several_change(contrast, np.full(n, PILE), "the picture filled with copies of the object", (_NOTE,)),)
    return found


def changes_of(contrast: SplitPair, layout: GuessedLayout) -> dict[str, Change]:
    """By factor, those of `scale` and `several` that the guessed layout needs."""
    return {change.factor: change for change in _changes(contrast, layout)}


def _moments(pixels: ByteArray) -> DoubleArray:
    """(N, 2 * bands): log energy of up to four bands of a Laplacian pyramid, over the middle and over the rim."""
    rows = []
    for image in pixels:
        level = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        energies = []
        for _ in range(_BANDS):
            if min(level.shape) < _SMALLEST:
                break
            smaller = cv2.pyrDown(level)
            band = (level - cv2.pyrUp(smaller, dstsize=level.shape[::-1])) ** 2
            h, w = band.shape
            middle = np.zeros(band.shape, bool)
            middle[h // 5 : h - h // 5, w // 5 : w - w // 5] = True
            energies += [np.log(band[middle].mean() + 1), np.log(band[~middle].mean() + 1)]
            level = smaller
        rows.append(energies)
    return np.array(rows, np.float64)
