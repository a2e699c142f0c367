"""The lab-to-field gap divided among the strongest factors, and the controls that say whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.change import PredictionCache, Subset, all_subsets
from fruitaudit.diagnosis.gap.controls import control_predictions, framed, patterned
from fruitaudit.diagnosis.gap.gap_checks import (
    LEAST,
    ShareTrial,
    believe,
    control_check,
    lab_mean,
    recomposition_check,
    similarity_check,
)
from fruitaudit.diagnosis.gap.measuring import Factors
from fruitaudit.diagnosis.gap.shapley import EXACT_UP_TO, ORDERS, beginnings, draw_orders, shares, shares_of_orders
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import DoubleArray
from fruitaudit.records.diagnosis import Decomposition, Effect, EffectNotRun, GapCheck, GapShare
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.statistics.means import SHARE, difference_of_means, mean_of

_INERT = 0.01
"""A factor that changes less than this alone and last is left out of the subsets."""


def decompose(
    cache: PredictionCache, pair: SplitPair, factors: Factors, effects: Sequence[Effect | EffectNotRun]
) -> Decomposition | NotRun:
    """Shapley shares of the gap over the factors that do something, each with an interval over sources.

    `cache` are those on lab images under the changes of `factors`.
    """
    gap = _gap(pair)
    if gap.low is None or gap.low < LEAST:
        accuracies = " and ".join(f"{100 * m.correct.mean():.1f} % right in {m.split}" for m in _samples(pair))
        return NotRun(f"there is no gap to divide: {accuracies} (difference {100 * gap.value:.1f} points, 95 % "
                      f"interval from {100 * (gap.low or 0):.1f})", code="no_difference")  # fmt: skip
    if not factors.changes:
        return NotRun("no factor could be measured and changed; add masks of the objects to the data", code="not_found")
    players = _players(cache, factors)
    game = _play(cache, pair, players)
    return _record(cache, pair, gap, players, game, effects)


@dataclass(frozen=True)
class _Game:
    """`correct` (N,) by subset, 0 or 1; `shares` (N,) by factor: each image's fall divided among the factors."""

    correct: dict[Subset, DoubleArray]
    shares: dict[str, DoubleArray]
    method: str


def _samples(pair: SplitPair) -> tuple[SplitSample, SplitSample]:
    return pair.lab.material, pair.field.material


def _gap(pair: SplitPair) -> Estimate:
    lab, field = pair.lab.material, pair.field.material
    has_groups = lab.sources_known or field.sources_known
    return difference_of_means(lab.correct, lab.sources, field.correct, field.sources, has_groups, pair.streams, "gap")


def _players(cache: PredictionCache, factors: Factors) -> list[Change]:
    """Factors that change at least a point, alone or after all others; the strongest first."""
    changes = list(factors.changes.values())
    names = frozenset(factors.changes)
    none: Subset = frozenset()
    subsets = [none, names, *(frozenset([n]) for n in names), *(names - {n} for n in names)]
    accuracy = {subset: float(correct.mean()) for subset, correct in cache.correct(subsets).items()}

    def strength(change: Change) -> float:
        n = frozenset([change.factor])
        return max(abs(accuracy[none] - accuracy[n]), abs(accuracy[names - n] - accuracy[names]))

    strong = [c for c in changes if strength(c) >= _INERT] or [max(changes, key=strength)]
    return sorted(strong, key=strength, reverse=True)


def _play(cache: PredictionCache, pair: SplitPair, players: Sequence[Change]) -> _Game:
    names = [c.factor for c in players]
    everything = frozenset(names)
    orders = [] if len(names) <= EXACT_UP_TO else draw_orders(names, pair.streams.rng("shapley orders", *names))
    ends = [frozenset[str](), everything, *(frozenset([n]) for n in names), *(everything - {n} for n in names)]
    subsets = list(dict.fromkeys([*ends, *beginnings(orders)])) if orders else all_subsets(names)
    correct = cache.correct(subsets)
    # Shares of the loss: the value of a subset is minus its accuracy.
    value = {subset: -r for subset, r in correct.items()}
    if orders:
        return _Game(correct, shares_of_orders(orders, value), f"{ORDERS} sampled orders, {len(subsets)} subsets")
    return _Game(correct, shares(names, value), f"all {len(subsets)} subsets")


def _record(
    cache: PredictionCache, pair: SplitPair, gap: Estimate, players: Sequence[Change], game: _Game,
    effects: Sequence[Effect | EffectNotRun],
) -> Decomposition:  # fmt: skip
    lab, field = _samples(pair)
    names = frozenset(c.factor for c in players)
    transformed, recomposed = game.correct[names], game.correct[frozenset()]
    frames, patterns = (
        control_predictions(cache.pixel_classifier, pair, players, disturb) for disturb in (framed, patterned)
    )
    checks = (
        recomposition_check(pair, recomposed),
        similarity_check(
            pair, cache.predictions([names])[names], patterns, cache.pixel_classifier.classifier.n_classes
        ),
        control_check(
            pair, transformed, *((predicted == lab.labels).astype(np.float64) for predicted in (frames, patterns))
        ),
    )
    rows = [_share(cache, pair, change, names, game, checks, effects) for change in players]
    key = ("field", field.split)
    field_accuracy = mean_of(field.correct, field.sources, field.sources_known, pair.streams, *key, possible=SHARE)
    return Decomposition(
        lab_split=lab.split,
        field_split=field.split,
        lab=lab_mean(pair, lab.correct, "lab", SHARE),
        field=field_accuracy,
        gap=gap,
        transformed=lab_mean(pair, transformed, "transformed", SHARE),
        recomposition=lab_mean(pair, lab.correct - recomposed, "recomposed"),
        shares=tuple(sorted(rows, key=lambda row: -row.points.value)),
        unexplained=_unexplained(pair, transformed),
        checks=checks,
        method=f"{game.method} of {len(players)} factors on {len(lab)} images of {lab.split}",
    )


def _unexplained(pair: SplitPair, transformed: DoubleArray) -> Estimate:
    """Accuracy of the transformed lab minus that of the field: what no factor here accounts for."""
    lab, field = _samples(pair)
    has_groups = lab.sources_known or field.sources_known
    return difference_of_means(
        transformed, lab.sources, field.correct, field.sources, has_groups, pair.streams, "unexplained"
    )


def _share(
    cache: PredictionCache, pair: SplitPair, change: Change, names: Subset, game: _Game,
    checks: Sequence[GapCheck], effects: Sequence[Effect | EffectNotRun],
) -> GapShare:  # fmt: skip
    name, lab = change.factor, pair.lab.material
    loss = game.correct[frozenset()] - game.correct[frozenset([name])]
    control_loss = lab.correct - (control_predictions(cache.pixel_classifier, pair, [change], framed) == lab.labels)
    trial = ShareTrial(
        points=lab_mean(pair, game.shares[name], f"share {name}"),
        loss=float(loss.mean()),
        control_loss=lab_mean(pair, control_loss, f"control {name}"),
        excess=lab_mean(pair, loss - control_loss, f"beyond control {name}"),
        undo=next((e for e in effects if isinstance(e, Effect) and (e.factor, e.direction) ==
                     (name, "undo_in_field") and not e.guessed), None),
    )  # fmt: skip
    counts, decided_by, why = believe(trial, checks)
    last = float(game.correct[names - {name}].mean() - game.correct[names].mean())
    return GapShare(
        name,
        registry.factors()[name].title,
        trial.points,
        trial.loss,
        last,
        counts,
        why,
        trial.control_loss,
        decided_by,
    )
