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
from fruitaudit.diagnosis.gap.change import changed_pixels
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.records.data import ByteArray, DoubleArray
from fruitaudit.records.states import NotRun

SCALES = (1.0, 0.7, 0.5, 0.35, 0.25)
_IMAGES = 48
"""Lab images that each candidate is tried on."""
_BANDS = 4
_SMALLEST = 10
"""Smallest side of a band, in pixels, whose middle and rim are compared."""
_COMMON_FACTORS = ("light", "background", "blur")
"""Factors that are done to every candidate: they need no layout, and change texture."""
_NOTE = "estimated without masks, by the layout whose texture comes nearest to the field's photos"


@dataclass(frozen=True)
class GuessedLayout:
    """`scale` 1 and `pile` False where the lab's own layout comes nearest."""

    scale: float
    pile: bool


def layout_guess(measurements: Measurements) -> GuessedLayout | None:
    """The field's layout where it has to be estimated without masks; None where it is measured, or cannot be made."""
    pair = measurements.pair
    if not pair.lab.separable or pair.field.separable:
        return None
    others = (measurements.change(factor) for factor in _COMMON_FACTORS)
    return guess_layout(pair, tuple(change for change in others if isinstance(change, Change)))


def guessed_changes(measurements: Measurements) -> dict[str, Change | NotRun]:
    """By factor, what the guessed layout needs of `scale` and `several`."""
    layout = measurements.once(layout_guess)
    no_difference = NotRun(
        "the field does not differ from the lab in this, as far as can be told without masks", code="no_difference"
    )
    changes = changes_of(measurements.pair, layout) if layout else {}
    return {factor: changes.get(factor, no_difference) for factor in ("scale", "several")}


def immovable(pair: SplitPair) -> NotRun | None:
    """Why the lab's objects cannot be laid out in another way; None where they can."""
    if pair.lab.separable:
        return None
    return NotRun(f"no object can be moved or repeated without its mask: {pair.lab.masks.text}", code="no_masks")


def guess_layout(pair: SplitPair, others: tuple[Change, ...]) -> GuessedLayout:
    """Of 5 sizes, each once and as a pile; `others` (`_COMMON_FACTORS`) are done to every candidate."""
    rows = np.linspace(0, len(pair.lab.material) - 1, _IMAGES).astype(np.int64)
    field = _moments(pair.field.material.pixels)
    centre, spread = field.mean(axis=0), field.std(axis=0) + 1e-3
    distances = {}
    for scale in SCALES:
        for pile in (False, True):
            layout = _changes(pair, GuessedLayout(scale, pile))
            pixels = changed_pixels(pair.lab, (*others, *layout), np.unique(rows))
            distances[scale, pile] = float((((_moments(pixels).mean(axis=0) - centre) / spread) ** 2).sum())
    return GuessedLayout(*min(distances, key=lambda key: distances[key]))


def _changes(pair: SplitPair, layout: GuessedLayout) -> tuple[Change, ...]:
    """The layout as changes: every object between 0.8 and 1.25 of the guessed size."""
    ids, n = pair.lab.material.ids, len(pair.lab.material)
    variation = np.array([pair.streams.rng("guessed scale", i).uniform(0.8, 1.25) for i in ids])
    changes: tuple[Change, ...] = ()
    if layout.scale < 1:
        scales = np.minimum(1.0, layout.scale * variation)
        dose = f"objects at {scales.min():.2f}–{scales.max():.2f} of their size"
        changes += (scale_change(scales, np.zeros((n, 2)), dose, (_NOTE,)),)
    if layout.pile:
        changes += (several_change(pair, np.full(n, PILE), "the picture filled with copies of the object", (_NOTE,)),)
    return changes


def changes_of(pair: SplitPair, layout: GuessedLayout) -> dict[str, Change]:
    """By factor, those of `scale` and `several` that the guessed layout needs."""
    return {change.factor: change for change in _changes(pair, layout)}


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
