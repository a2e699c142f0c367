"""The lab-to-field gap divided among the strongest factors, and the controls that say whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.change import Change, Subset, all_subsets, answers, predictions
from fruitaudit.diagnosis.contrast import Contrast, Values
from fruitaudit.diagnosis.factors import TITLES, Factors
from fruitaudit.diagnosis.gap_checks import CONTROL, control_change, similarity_check
from fruitaudit.diagnosis.interventions import pixel_distance
from fruitaudit.diagnosis.material import Eye, Material
from fruitaudit.diagnosis.resampling import CHANGE, SHARE, Range, difference_of_means, mean_of
from fruitaudit.diagnosis.shapley import EXACT_UP_TO, ORDERS, beginnings, draw_orders, shares, shares_of_orders
from fruitaudit.records.diagnosis import Decomposition, Effect, EffectNotRun, GapCheck, GapShare
from fruitaudit.records.states import Estimate, NotRun

LEAST = 0.02
"""Smallest gap (lower end of its interval) worth dividing, and smallest share worth a claim."""
_INERT = 0.01
"""A factor that changes less than this alone and last is left out of the subsets."""
_RECOMPOSED = 0.05
"""Largest loss of accuracy by cutting out and putting back at which shares may still be claimed."""


def decompose(
    eye: Eye, contrast: Contrast, factors: Factors, effects: Sequence[Effect | EffectNotRun]
) -> Decomposition | NotRun:
    """Shapley shares of the gap over the factors that do something, each with an interval over sources."""
    gap = _gap(contrast)
    if gap.low is None or gap.low < LEAST:
        told = " and ".join(f"{100 * m.correct.mean():.1f} % right in {m.split}" for m in _both(contrast))
        return NotRun(f"there is no gap to divide: {told} (difference {100 * gap.value:.1f} points, 95 % interval from "
                      f"{100 * (gap.low or 0):.1f})")  # fmt: skip
    if not factors.changes:
        return NotRun("no factor could be measured and changed; add masks of the objects to the data")
    players = _players(eye, contrast, factors)
    game = _play(eye, contrast, players)
    checks = _checks(eye, contrast, players, game)
    return _record(contrast, gap, players, game, checks, effects)


@dataclass(frozen=True)
class _Game:
    """`right` (N,) by subset, 0 or 1; `shares` (N,) by factor: each image's fall divided among the factors."""

    right: dict[Subset, Values]
    shares: dict[str, Values]
    method: str


def _both(contrast: Contrast) -> tuple[Material, Material]:
    return contrast.lab.material, contrast.field.material


def _gap(contrast: Contrast) -> Estimate:
    lab, field = contrast.lab.material, contrast.field.material
    known = lab.sources_known and field.sources_known
    return difference_of_means(lab.correct, lab.sources, field.correct, field.sources, known, contrast.streams, "gap")


def _players(eye: Eye, contrast: Contrast, factors: Factors) -> list[Change]:
    """Factors that change at least a point, alone or after all others; the strongest first."""
    changes = list(factors.changes.values())
    names = frozenset(c.factor for c in changes)
    none: Subset = frozenset()
    subsets = [none, names, *(frozenset([n]) for n in names), *(names - {n} for n in names)]
    right = answers(eye, contrast.lab.material, contrast.lab.masks, changes, list(dict.fromkeys(subsets)))
    accuracy = {subset: float(r.mean()) for subset, r in right.items()}

    def strength(change: Change) -> float:
        n = frozenset([change.factor])
        return max(abs(accuracy[none] - accuracy[n]), abs(accuracy[names - n] - accuracy[names]))

    strong = [c for c in changes if strength(c) >= _INERT] or [max(changes, key=strength)]
    return sorted(strong, key=strength, reverse=True)


def _play(eye: Eye, contrast: Contrast, players: Sequence[Change]) -> _Game:
    names = [c.factor for c in players]
    material, masks = contrast.lab.material, contrast.lab.masks
    none: Subset = frozenset()
    everything = frozenset(names)
    last = [everything - {n} for n in names]
    if len(names) <= EXACT_UP_TO:
        subsets = all_subsets(names)
        right = {s: r.astype(np.float64) for s, r in answers(eye, material, masks, players, subsets).items()}
        # Shares of the loss: the value of a subset is minus its accuracy.
        return _Game(right, shares(names, {s: -r for s, r in right.items()}), f"all {len(subsets)} subsets")
    orders = draw_orders(names, contrast.streams.rng("shapley orders", *names))
    subsets = list(dict.fromkeys([none, everything, *(frozenset([n]) for n in names), *last, *beginnings(orders)]))
    right = {s: r.astype(np.float64) for s, r in answers(eye, material, masks, players, subsets).items()}
    divided = shares_of_orders(orders, {s: -r for s, r in right.items()})
    return _Game(right, divided, f"{ORDERS} sampled orders, {len(subsets)} subsets")


def _checks(eye: Eye, contrast: Contrast, players: Sequence[Change], game: _Game) -> tuple[GapCheck, ...]:
    """Cutting out and putting back; the confusion matrix against a control; a placebo of equal pixel distance."""
    names = frozenset(c.factor for c in players)
    lab = contrast.lab
    kept = _lab_mean(contrast, lab.material.correct - game.right[frozenset()], "recomposed")
    recomposed = GapCheck(
        "recomposition", kept.value <= _RECOMPOSED, kept,
        f"cutting the objects out and putting them back costs {100 * kept.value:.1f} points of accuracy by itself",
    )  # fmt: skip
    distance = pixel_distance(lab, list(players))
    control = control_change(contrast, distance)
    called = predictions(eye, lab.material, lab.masks, [*players, control], [names, frozenset([CONTROL])])
    similar = similarity_check(contrast, called[names], called[frozenset([CONTROL])], eye.classifier.n_classes)
    return recomposed, similar, _placebo(eye, contrast, distance)


def _placebo(eye: Eye, contrast: Contrast, distance: float) -> GapCheck:
    """Another lab photo of the same class in place of each: pixels change, and nothing of the field comes in."""
    material = contrast.lab.material
    other = np.arange(len(material))
    rng = contrast.streams.rng("placebo", material.split)
    for label in np.unique(material.labels):
        rows = rng.permutation(np.flatnonzero(material.labels == label))
        other[rows] = np.roll(rows, 1)
    swapped = material.correct - material.correct[other]
    apart = material.pixels.astype(np.float32) - material.pixels[other]
    size = float(np.sqrt(np.mean(apart**2)) / 255)
    effect = _lab_mean(contrast, swapped, "placebo")
    near_zero = effect.low is not None and effect.high is not None and effect.low <= 0 <= effect.high
    return GapCheck(
        "placebo", near_zero and abs(effect.value) <= 0.05, effect,
        f"a control factor, another lab photo of the same class in place of each, changes "
        f"{100 * effect.value:+.1f} points at a pixel distance of {size:.2f} (all factors together: {distance:.2f})",
    )  # fmt: skip


def _lab_mean(contrast: Contrast, values: np.ndarray, purpose: str, possible: Range = CHANGE) -> Estimate:
    lab = contrast.lab.material
    key = ("decomposition", lab.split, purpose)
    return mean_of(values, lab.sources, lab.sources_known, contrast.streams, *key, possible=possible)


def _record(
    contrast: Contrast, gap: Estimate, players: Sequence[Change], game: _Game, checks: tuple[GapCheck, ...],
    effects: Sequence[Effect | EffectNotRun],
) -> Decomposition:  # fmt: skip
    lab, field = contrast.lab.material, contrast.field.material
    names = frozenset(c.factor for c in players)
    whole, none = game.right[names], game.right[frozenset()]
    rows = [_share(contrast, c.factor, names, game, checks, effects) for c in players]
    key = ("field", field.split)
    there = mean_of(field.correct, field.sources, field.sources_known, contrast.streams, *key, possible=SHARE)
    return Decomposition(
        lab_split=lab.split,
        field_split=field.split,
        lab=_lab_mean(contrast, lab.correct, "lab", SHARE),
        field=there,
        gap=gap,
        transformed=_lab_mean(contrast, whole, "transformed", SHARE),
        recomposition=_lab_mean(contrast, lab.correct - none, "recomposed"),
        shares=tuple(sorted(rows, key=lambda row: -row.points.value)),
        unexplained=_unexplained(contrast, whole),
        checks=checks,
        method=f"{game.method} of {len(players)} factors on {len(lab)} images of {lab.split}",
    )


def _unexplained(contrast: Contrast, whole: Values) -> Estimate:
    """Accuracy of the transformed lab minus that of the field: what no factor here accounts for."""
    lab, field = contrast.lab.material, contrast.field.material
    known = lab.sources_known and field.sources_known
    return difference_of_means(whole, lab.sources, field.correct, field.sources, known, contrast.streams, "unexplained")


def _share(
    contrast: Contrast, name: str, names: Subset, game: _Game, checks: tuple[GapCheck, ...],
    effects: Sequence[Effect | EffectNotRun],
) -> GapShare:  # fmt: skip
    points = _lab_mean(contrast, game.shares[name], f"share {name}")
    counts, why = _verdict(name, points, checks, effects)
    alone = float(game.right[frozenset()].mean() - game.right[frozenset([name])].mean())
    last = float(game.right[names - {name}].mean() - game.right[names].mean())
    return GapShare(name, TITLES[name], points, alone, last, counts, why)


def _verdict(
    name: str, points: Estimate, checks: tuple[GapCheck, ...], effects: Sequence[Effect | EffectNotRun]
) -> tuple[bool, str]:
    """A share counts if it is surely above zero, no control failed, and one of two positive checks was passed."""
    if points.low is None or points.low <= 0:
        return False, "its interval reaches zero"
    if points.value < LEAST:
        return False, f"it is less than {100 * LEAST:.0f} points"
    by_name = {check.name: check for check in checks}
    for control in ("recomposition", "placebo"):
        if by_name[control].passed is False:
            return False, by_name[control].sentence
    regained = [e for e in effects if isinstance(e, Effect) and (e.factor, e.direction) == (name, "undo_in_field")]
    if regained and (regained[0].change.low or 0) > 0:
        return True, f"undoing it in {regained[0].split} regains {100 * regained[0].change.value:.1f} points"
    if by_name["confusions"].passed:
        return True, by_name["confusions"].sentence
    return False, "the changed lab images are not confused as the field's are, and undoing it regains nothing"
