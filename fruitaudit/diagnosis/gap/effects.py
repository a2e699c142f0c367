"""Every change made alone and measured, paired on the same images: toward the field, back from it, and the probes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.factors.base import Change, Factor
from fruitaudit.diagnosis.gap.change import CHUNK, PredictionCache, changed_pixels
from fruitaudit.diagnosis.gap.measuring import Factors
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, SplitPair
from fruitaudit.diagnosis.images.split_sample import PixelClassifier
from fruitaudit.records.diagnosis import Direction, Effect, EffectNotRun
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.statistics.means import CHANGE, SHARE, Range, mean_of

MAX_IDS = 8
"""Sample ids named with an effect."""


def measure_effects(cache: PredictionCache, pair: SplitPair, factors: Factors) -> Iterator[Effect | EffectNotRun]:
    """All factors toward the field, all that can be undone, all probes. `cache` under the changes of the lab."""
    cache.predictions(frozenset([name]) for name in factors.changes)  # all at once
    for factor in registry.suspects():
        change: Change | NotRun = factors.changes.get(factor.name) or factors.not_run[factor.name]
        yield _row(cache, pair, change, factor, "toward_field")
        if isinstance(change, Change):
            undo_change = factors.undo(factor.name)
            yield _row(
                _cache_of(undo_change, cache.pixel_classifier, pair.field), pair, undo_change, factor, "undo_in_field"
            )
    for factor in registry.probes():
        probe = factor.measure(factors.measurements)
        yield _row(_cache_of(probe, cache.pixel_classifier, pair.lab), pair, probe, factor, "probe")


def _cache_of(change: Change | NotRun, pixel_classifier: PixelClassifier, side: MaskedSplit) -> PredictionCache:
    return PredictionCache(pixel_classifier, side, (change,) if isinstance(change, Change) else ())


def _row(
    cache: PredictionCache, pair: SplitPair, change: Change | NotRun, factor: Factor, direction: Direction
) -> Effect | EffectNotRun:
    if isinstance(change, Change):
        return measure_effect(cache, pair, change, direction)
    field_split = pair.field.material.split
    return EffectNotRun(factor.name, factor.title, direction, cache.side.material.split, change, field_split)


def measure_effect(cache: PredictionCache, pair: SplitPair, change: Change, direction: Direction) -> Effect:
    """Accuracy with and without one change, on the same images; sources are resampled, not images."""
    material, streams = cache.side.material, pair.streams
    subset = frozenset([change.factor])
    after = cache.predictions([subset])[subset] == material.labels
    before = material.correct.astype(bool)
    flipped = before & ~after if direction != "undo_in_field" else ~before & after
    key = (direction, change.factor, material.split)

    def estimate(values: npt.NDArray[np.generic], quantity: str, possible: Range = SHARE) -> Estimate:
        return mean_of(values, material.sources, material.sources_known, streams, *key, quantity, possible=possible)

    return Effect(
        factor=change.factor,
        title=registry.factors()[change.factor].title,
        direction=direction,
        split=material.split,
        dose=change.dose,
        before=estimate(before, "before"),
        after=estimate(after, "after"),
        change=estimate(after.astype(np.float64) - before, "change", CHANGE),
        distance=pixel_distance(cache.side, change),
        flipped=tuple(material.ids[i] for i in np.flatnonzero(flipped)[:MAX_IDS]),
        notes=change.notes,
        guessed=change.guessed,
        field_split=pair.field.material.split,
    )


def pixel_distance(side: MaskedSplit, change: Change) -> float:
    """Root mean square difference, 0..1, that the change makes in up to 64 images."""
    rows = np.unique(np.linspace(0, len(side.material) - 1, CHUNK).astype(np.int64))
    pixels = changed_pixels(side, [change], rows).astype(np.float64)
    return float(np.sqrt(np.mean((pixels - side.material.pixels[rows]) ** 2)) / 255)
