"""Every change made alone and measured, paired on the same images: toward the field, back from it, and the probes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.factors.base import Change, Factor
from fruitaudit.diagnosis.gap.change import CHUNK, PredictionCache, changed
from fruitaudit.diagnosis.gap.contrast import MaskedSplit, SplitPair
from fruitaudit.diagnosis.gap.measuring import Factors
from fruitaudit.diagnosis.images.material import PixelClassifier
from fruitaudit.records.diagnosis import Direction, Effect, EffectNotRun
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.statistics.means import CHANGE, SHARE, Range, mean_of

SHOWN = 8
"""Sample ids named with an effect."""


def measure_effects(answers: PredictionCache, contrast: SplitPair, factors: Factors) -> Iterator[Effect | EffectNotRun]:
    """All factors toward the field, all that can be undone, all probes. `answers` under the changes of the lab."""
    answers.called(frozenset([name]) for name in factors.changes)  # all at once
    for factor in registry.suspects():
        there: Change | NotRun = factors.changes.get(factor.name) or factors.not_run[factor.name]
        yield _row(answers, contrast, there, factor, "toward_field")
        if isinstance(there, Change):
            back = factors.undo(factor.name)
            yield _row(_answers_to(back, answers.eye, contrast.field), contrast, back, factor, "undo_in_field")
    for factor in registry.probes():
        probe = factor.measure(factors.measurements)
        yield _row(_answers_to(probe, answers.eye, contrast.lab), contrast, probe, factor, "probe")


def _answers_to(change: Change | NotRun, eye: PixelClassifier, side: MaskedSplit) -> PredictionCache:
    return PredictionCache(eye, side, (change,) if isinstance(change, Change) else ())


def _row(
    answers: PredictionCache, contrast: SplitPair, change: Change | NotRun, factor: Factor, direction: Direction
) -> Effect | EffectNotRun:
    if isinstance(change, Change):
        return measure_effect(answers, contrast, change, direction)
    there = contrast.field.material.split
    return EffectNotRun(factor.name, factor.title, direction, answers.side.material.split, change, there)


def measure_effect(answers: PredictionCache, contrast: SplitPair, change: Change, direction: Direction) -> Effect:
    """Accuracy with and without one change, on the same images; sources are resampled, not images."""
    material, streams = answers.side.material, contrast.streams
    subset = frozenset([change.factor])
    after = answers.called([subset])[subset] == material.labels
    before = material.correct.astype(bool)
    turned = before & ~after if direction != "undo_in_field" else ~before & after
    key = (direction, change.factor, material.split)

    def estimate(values: npt.NDArray[np.generic], what: str, possible: Range = SHARE) -> Estimate:
        return mean_of(values, material.sources, material.sources_known, streams, *key, what, possible=possible)

    return Effect(
        factor=change.factor,
        title=registry.factors()[change.factor].title,
        direction=direction,
        split=material.split,
        dose=change.dose,
        before=estimate(before, "before"),
        after=estimate(after, "after"),
        change=estimate(after.astype(np.float64) - before, "change", CHANGE),
        distance=pixel_distance(answers.side, change),
        flipped=tuple(material.ids[i] for i in np.flatnonzero(turned)[:SHOWN]),
        notes=change.notes,
        guessed=change.guessed,
        field_split=contrast.field.material.split,
    )


def pixel_distance(side: MaskedSplit, change: Change) -> float:
    """Root mean square difference, 0..1, that the change makes in up to 64 images."""
    rows = np.unique(np.linspace(0, len(side.material) - 1, CHUNK).astype(np.int64))
    new = changed(side, [change], rows).astype(np.float64)
    return float(np.sqrt(np.mean((new - side.material.pixels[rows]) ** 2)) / 255)
