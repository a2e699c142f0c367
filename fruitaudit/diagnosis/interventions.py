"""Every change made alone and measured, paired on the same images: toward the field, back from it, and the probes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fruitaudit.diagnosis.change import CHUNK, Change, Flags, changed, predictions
from fruitaudit.diagnosis.contrast import Contrast, Side, Values
from fruitaudit.diagnosis.factors import TITLES, Factors
from fruitaudit.diagnosis.material import Eye
from fruitaudit.diagnosis.resampling import CHANGE, SHARE, Range, mean_of
from fruitaudit.diagnosis.surface import probes
from fruitaudit.diagnosis.undo import undo
from fruitaudit.records.diagnosis import Direction, Effect, EffectNotRun
from fruitaudit.records.states import Estimate, NotRun

SHOWN = 8
"""Sample ids named with an effect."""
_PROBES = ("occlusion", "rotation", "grey")


def measure_effects(eye: Eye, contrast: Contrast, factors: Factors) -> Iterator[Effect | EffectNotRun]:
    """All factors toward the field, all that can be undone, all probes."""
    for name in TITLES:
        if name in _PROBES:
            continue
        there: Change | NotRun = factors.changes.get(name) or factors.not_run[name]
        yield _row(eye, contrast, there, name, "toward_field")
        if isinstance(there, Change):
            back = undo(name, contrast, factors)
            yield _row(eye, contrast, back, name, "undo_in_field")
    for name, probe in zip(_PROBES, probes(contrast), strict=True):
        yield _row(eye, contrast, probe, name, "probe")


def _row(
    eye: Eye, contrast: Contrast, change: Change | NotRun, factor: str, direction: Direction
) -> Effect | EffectNotRun:
    if isinstance(change, Change):
        return measure_effect(eye, contrast, change, direction)
    split = _changed_side(contrast, direction).material.split
    return EffectNotRun(factor, TITLES[factor], direction, split, change, contrast.field.material.split)


def _changed_side(contrast: Contrast, direction: Direction) -> Side:
    return contrast.field if direction == "undo_in_field" else contrast.lab


def measure_effect(eye: Eye, contrast: Contrast, change: Change, direction: Direction) -> Effect:
    """Accuracy with and without one change, on the same images; sources are resampled, not images."""
    side = _changed_side(contrast, direction)
    material, streams = side.material, contrast.streams
    subset = frozenset([change.factor])
    after = predictions(eye, material, side.masks, [change], [subset])[subset] == material.labels
    before = material.correct.astype(bool)
    turned = before & ~after if direction != "undo_in_field" else ~before & after
    key = (direction, change.factor, material.split)

    def estimate(values: Flags | Values, what: str, possible: Range = SHARE) -> Estimate:
        return mean_of(values, material.sources, material.sources_known, streams, *key, what, possible=possible)

    return Effect(
        factor=change.factor,
        title=change.title,
        direction=direction,
        split=material.split,
        dose=change.dose,
        before=estimate(before, "before"),
        after=estimate(after, "after"),
        change=estimate(after.astype(np.float64) - before, "change", CHANGE),
        distance=pixel_distance(side, [change]),
        flipped=tuple(material.ids[i] for i in np.flatnonzero(turned)[:SHOWN]),
        notes=change.notes,
        field_split=contrast.field.material.split,
    )


def pixel_distance(side: Side, changes: list[Change]) -> float:
    """Root mean square difference, 0..1, that the changes make in up to 64 images."""
    rows = np.unique(np.linspace(0, len(side.material) - 1, CHUNK).astype(np.int64))
    new = changed(side.material, side.masks, changes, rows).astype(np.float64)
    return float(np.sqrt(np.mean((new - side.material.pixels[rows]) ** 2)) / 255)
