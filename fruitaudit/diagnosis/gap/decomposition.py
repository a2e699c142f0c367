"""The lab-to-field gap divided among the strongest factors, and the controls that say whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.change import PredictionCache, Subset, all_subsets
from fruitaudit.diagnosis.gap.contrast import SplitPair
from fruitaudit.diagnosis.gap.controls import control_answers, framed, patterned
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
from fruitaudit.diagnosis.images.material import SplitSample
from fruitaudit.records.data import DoubleArray
from fruitaudit.records.diagnosis import Decomposition, Effect, EffectNotRun, GapCheck, GapShare
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.statistics.means import SHARE, difference_of_means, mean_of

_INERT = 0.01
"""A factor that changes less than this alone and last is left out of the subsets."""


def decompose(
    answers: PredictionCache, contrast: SplitPair, factors: Factors, effects: Sequence[Effect | EffectNotRun]
) -> Decomposition | NotRun:
    """Shapley shares of the gap over the factors that do something, each with an interval over sources.

    `answers` are those on lab images under the changes of `factors`.
    """
    gap = _gap(contrast)
    if gap.low is None or gap.low < LEAST:
        told = " and ".join(f"{100 * m.correct.mean():.1f} % right in {m.split}" for m in _both(contrast))
        return NotRun(f"there is no gap to divide: {told} (difference {100 * gap.value:.1f} points, 95 % interval from "
                      f"{100 * (gap.low or 0):.1f})", code="no_difference")  # fmt: skip
    if not factors.changes:
        return NotRun("no factor could be measured and changed; add masks of the objects to the data", code="not_found")
    players = _players(answers, factors)
    game = _play(answers, contrast, players)
    return _record(answers, contrast, gap, players, game, effects)


@dataclass(frozen=True)
class _Game:
    """`right` (N,) by subset, 0 or 1; `shares` (N,) by factor: each image's fall divided among the factors."""

    right: dict[Subset, DoubleArray]
    shares: dict[str, DoubleArray]
    method: str


def _both(contrast: SplitPair) -> tuple[SplitSample, SplitSample]:
    return contrast.lab.material, contrast.field.material


def _gap(contrast: SplitPair) -> Estimate:
    lab, field = contrast.lab.material, contrast.field.material
    known = lab.sources_known or field.sources_known
    return difference_of_means(lab.correct, lab.sources, field.correct, field.sources, known, contrast.streams, "gap")


def _players(answers: PredictionCache, factors: Factors) -> list[Change]:
    """Factors that change at least a point, alone or after all others; the strongest first."""
    changes = list(factors.changes.values())
    names = frozenset(factors.changes)
    none: Subset = frozenset()
    subsets = [none, names, *(frozenset([n]) for n in names), *(names - {n} for n in names)]
    accuracy = {subset: float(right.mean()) for subset, right in answers.right(subsets).items()}

    def strength(change: Change) -> float:
        n = frozenset([change.factor])
        return max(abs(accuracy[none] - accuracy[n]), abs(accuracy[names - n] - accuracy[names]))

    strong = [c for c in changes if strength(c) >= _INERT] or [max(changes, key=strength)]
    return sorted(strong, key=strength, reverse=True)


def _play(answers: PredictionCache, contrast: SplitPair, players: Sequence[Change]) -> _Game:
    names = [c.factor for c in players]
    everything = frozenset(names)
    orders = [] if len(names) <= EXACT_UP_TO else draw_orders(names, contrast.streams.rng("shapley orders", *names))
    ends = [frozenset[str](), everything, *(frozenset([n]) for n in names), *(everything - {n} for n in names)]
    subsets = list(dict.fromkeys([*ends, *beginnings(orders)])) if orders else all_subsets(names)
    right = answers.right(subsets)
    # Shares of the loss: the value of a subset is minus its accuracy.
    value = {subset: -r for subset, r in right.items()}
    if orders:
        return _Game(right, shares_of_orders(orders, value), f"{ORDERS} sampled orders, {len(subsets)} subsets")
    return _Game(right, shares(names, value), f"all {len(subsets)} subsets")


def _record(
    answers: PredictionCache, contrast: SplitPair, gap: Estimate, players: Sequence[Change], game: _Game,
    effects: Sequence[Effect | EffectNotRun],
) -> Decomposition:  # fmt: skip
    lab, field = _both(contrast)
    names = frozenset(c.factor for c in players)
    whole, none = game.right[names], game.right[frozenset()]
    frames, patterns = (control_answers(answers.eye, contrast, players, how) for how in (framed, patterned))
    checks = (
        recomposition_check(contrast, none),
        similarity_check(contrast, answers.called([names])[names], patterns, answers.eye.classifier.n_classes),
        control_check(contrast, whole, *((said == lab.labels).astype(np.float64) for said in (frames, patterns))),
    )
    rows = [_share(answers, contrast, change, names, game, checks, effects) for change in players]
    key = ("field", field.split)
    there = mean_of(field.correct, field.sources, field.sources_known, contrast.streams, *key, possible=SHARE)
    return Decomposition(
        lab_split=lab.split,
        field_split=field.split,
        lab=lab_mean(contrast, lab.correct, "lab", SHARE),
        field=there,
        gap=gap,
        transformed=lab_mean(contrast, whole, "transformed", SHARE),
        recomposition=lab_mean(contrast, lab.correct - none, "recomposed"),
        shares=tuple(sorted(rows, key=lambda row: -row.points.value)),
        unexplained=_unexplained(contrast, whole),
        checks=checks,
        method=f"{game.method} of {len(players)} factors on {len(lab)} images of {lab.split}",
    )


def _unexplained(contrast: SplitPair, whole: DoubleArray) -> Estimate:
    """Accuracy of the transformed lab minus that of the field: what no factor here accounts for."""
    lab, field = _both(contrast)
    known = lab.sources_known or field.sources_known
    return difference_of_means(whole, lab.sources, field.correct, field.sources, known, contrast.streams, "unexplained")


def _share(
    answers: PredictionCache, contrast: SplitPair, change: Change, names: Subset, game: _Game,
    checks: Sequence[GapCheck], effects: Sequence[Effect | EffectNotRun],
) -> GapShare:  # fmt: skip
    name, lab = change.factor, contrast.lab.material
    alone = game.right[frozenset()] - game.right[frozenset([name])]
    control = lab.correct - (control_answers(answers.eye, contrast, [change], framed) == lab.labels)
    trial = ShareTrial(
        points=lab_mean(contrast, game.shares[name], f"share {name}"),
        alone=float(alone.mean()),
        control=lab_mean(contrast, control, f"control {name}"),
        beyond=lab_mean(contrast, alone - control, f"beyond control {name}"),
        undone=next((e for e in effects if isinstance(e, Effect) and (e.factor, e.direction) ==
                     (name, "undo_in_field") and not e.guessed), None),
    )  # fmt: skip
    counts, decided_by, why = believe(trial, checks)
    last = float(game.right[names - {name}].mean() - game.right[names].mean())
    return GapShare(
        name, registry.factors()[name].title, trial.points, trial.alone, last, counts, why, trial.control, decided_by
    )
