"""A share counts only if the factor costs more than any other disturbance of the same size."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnosis.planted_cases import COLOURS, SIDE, discs, split_pair

from fruitaudit.diagnosis.gap.change import PredictionCache, changed_pixels
from fruitaudit.diagnosis.gap.controls import Disturb, control_predictions, distances, framed, patterned
from fruitaudit.diagnosis.gap.decomposition import decompose
from fruitaudit.diagnosis.gap.effects import measure_effects
from fruitaudit.diagnosis.gap.gap_checks import ShareTrial, believe
from fruitaudit.diagnosis.gap.measuring import Factors, measure_factors
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.records.diagnosis import Decomposition, Effect, GapCheck
from fruitaudit.records.states import Estimate

PIXELS, LABELS = discs()
DARK = (discs(seed=5)[0] * 0.7).astype(np.uint8)
Y, X = np.mgrid[:SIDE, :SIDE]
CORE = np.hypot(Y - SIDE / 2, X - SIDE / 2) < 11


class Model:
    """Names the nearest of four chromas, unless it is `upset` by the picture: then a fifth class."""

    classifier = SimpleNamespace(n_classes=5)

    def predicted(self, pixels: np.ndarray) -> np.ndarray:
        core = pixels[:, CORE].mean(axis=1)
        difference = core[:, None] / core.sum(axis=1)[:, None, None] - COLOURS / COLOURS.sum(axis=1, keepdims=True)
        predicted = np.linalg.norm(difference, axis=2).argmin(axis=1)
        return np.where(self.upset(pixels), 4, predicted)


class Brittle(Model):
    """Knows the lab's pictures by heart: whatever differs from all of them upsets it."""

    def upset(self, pixels: np.ndarray) -> np.ndarray:
        nearest = [distances(PIXELS, np.broadcast_to(image, PIXELS.shape)).min() for image in pixels]
        return np.array(nearest) > 12


class AfraidOfTheDark(Model):
    """Only darkness upsets it."""

    def upset(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.mean(axis=(1, 2, 3)) < 170


def measured_pair(model: Model, field: np.ndarray = DARK) -> tuple[SplitPair, Factors, PredictionCache]:
    pair = split_pair(field)
    for masked_split in (pair.lab, pair.field):
        object.__setattr__(masked_split.material, "predicted", model.predicted(masked_split.material.pixels))
    factors = measure_factors(pair)
    return pair, factors, PredictionCache(model, pair.lab, tuple(factors.changes.values()))


@pytest.mark.parametrize("disturb", [framed, patterned])
@pytest.mark.parametrize("distance", [20.0, 70.0])
def test_a_disturbance_has_the_size_asked_for(disturb: Disturb, distance: float) -> None:
    pair, rows = split_pair(DARK), np.arange(8)
    pixels = disturb(pair, rows, np.full(8, distance, np.float32))
    assert distances(PIXELS[rows], pixels) == pytest.approx(distance, rel=0.03)


def test_a_frame_spares_the_middle_and_turns_white_black() -> None:
    pixels = framed(split_pair(DARK), np.arange(8), np.full(8, 70.0, np.float32))
    changed_at = (pixels != PIXELS[:8]).any(axis=(0, 3))
    assert not changed_at[8:-8, 8:-8].any()
    assert (pixels[:, 0] == 0).all()


@pytest.mark.parametrize("disturb", [framed, patterned])
def test_what_black_and_white_do_not_allow_is_not_reached(disturb: Disturb) -> None:
    pixels = disturb(split_pair(DARK), np.arange(2), np.full(2, 250.0, np.float32))
    assert np.isfinite(pixels).all()
    assert (distances(PIXELS[:2], pixels) < 250).all()


def test_a_pattern_is_the_images_own_whatever_else_is_drawn() -> None:
    pair, size = split_pair(DARK), np.full(40, 30, np.float32)
    together = patterned(pair, np.arange(40), size)
    alone = patterned(pair, np.array([7]), size[:1])
    assert (together[7] == alone[0]).all()
    assert (patterned(pair, np.array([8]), size[:1]) != alone).any()


def test_the_control_of_a_change_takes_each_image_as_far_as_the_change_does() -> None:
    pair, factors, cache = measured_pair(AfraidOfTheDark())
    batches: list[np.ndarray] = []
    cache.pixel_classifier.predicted = lambda pixels: batches.append(pixels) or np.zeros(len(pixels), int)
    control_predictions(cache.pixel_classifier, pair, [factors.changes["light"]], framed)
    expected = distances(PIXELS, changed_pixels(pair.lab, [factors.changes["light"]], np.arange(40)))
    assert distances(PIXELS, np.concatenate(batches)) == pytest.approx(expected, rel=0.03)


def test_a_model_that_only_the_factor_breaks_has_a_cause() -> None:
    pair, factors, cache = measured_pair(AfraidOfTheDark())
    gap = decompose(cache, pair, factors, [])
    assert isinstance(gap, Decomposition)
    [share] = gap.shares
    assert (share.factor, share.counts) == ("light", True), share.why
    assert share.alone > 0.9
    assert isinstance(share.control, Estimate)
    assert share.control.value < 0.1
    assert {check.name: check.passed for check in gap.checks} == {
        "recomposition": True, "confusions": True, "control": True}  # fmt: skip


def test_a_model_that_any_disturbance_breaks_has_none() -> None:
    pair, factors, cache = measured_pair(Brittle())
    gap = decompose(cache, pair, factors, [])
    assert isinstance(gap, Decomposition)
    [share] = gap.shares
    assert not share.counts
    assert share.why == ("it does not surely cost more than another disturbance of that size: alone it costs "
                         "100.0 points, a frame as far from the picture 100.0")  # fmt: skip
    assert {check.name: check.passed for check in gap.checks}["control"] is False


def test_answers_won_back_in_the_field_do_not_excuse_what_any_disturbance_costs() -> None:
    """Brittle as it is, taken out of the dark it knows the same pictures again: the other checks still hold it back."""
    pair, factors, cache = measured_pair(Brittle(), (PIXELS * 0.7).astype(np.uint8))
    effects = list(measure_effects(cache, pair, factors))
    [undo] = [e for e in effects if isinstance(e, Effect) and (e.factor, e.direction) == ("light", "undo_in_field")]
    assert undo.change.value > 0.9
    gap = decompose(cache, pair, factors, effects)
    assert isinstance(gap, Decomposition)
    assert not gap.shares[0].counts
    assert gap.shares[0].why.startswith("it does not surely cost more than another disturbance of that size")
    assert gap.shares[0].decided_by == "control"


def estimate(value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value, 40, value - 0.05 if low is None else low, value + 0.05 if high is None else high)


def undo_effect(value: float) -> Effect:
    return Effect("light", "Light", "undo_in_field", "field", "", *(estimate(0.5),) * 2, estimate(value), 0.1, ())


@pytest.mark.parametrize(
    ("change", "counts", "why"),
    [
        ({}, True, "as alike as can be; alone"),
        ({"undone": undo_effect(0.1)}, True, "undoing it in field regains 10.0 points"),
        ({"undone": undo_effect(-0.1)}, False, "undoing it in field regains nothing (it costs 10.0 points)"),
        ({"undone": undo_effect(0.0)}, False, "undoing it in field regains nothing"),
        ({"similar": False}, False, "the changed lab images are not confused as the field's are"),
        ({"similar": False, "undone": undo_effect(0.1)}, False, "the changed lab images are not confused"),
        ({"beyond": estimate(0.04)}, False, "it does not surely cost more than another disturbance of that size"),
        ({"recomposed": False}, False, "glue"),
        ({"points": estimate(0.01, 0.005)}, False, "it is less than 2 points"),
        ({"points": estimate(0.03)}, False, "its interval reaches zero"),
        ({"points": estimate(-0.2)}, False, "it costs nothing"),
    ],
)
def test_a_share_counts_only_where_every_check_allows_it(change: dict[str, Any], counts: bool, why: str) -> None:
    checks = [
        GapCheck("recomposition", change.get("recomposed", True), estimate(0.0), "glue"),
        GapCheck("confusions", change.get("similar", True), estimate(0.2), "as alike as can be"),
        GapCheck("control", True, estimate(0.2), ""),
    ]
    trial = ShareTrial(change.get("points", estimate(0.3)), 0.3, estimate(0.0), change.get("beyond", estimate(0.3)),
                       change.get("undone"))  # fmt: skip
    verdict = believe(trial, checks)
    assert verdict[0] is counts
    assert verdict[2].startswith(why)


def test_what_was_taken_back_by_a_guess_speaks_for_nothing() -> None:
    pair, factors, cache = measured_pair(AfraidOfTheDark())
    for guessed, counts in (False, False), (True, True):
        gap = decompose(cache, pair, factors, [replace(undo_effect(-0.1), guessed=guessed)])
        assert isinstance(gap, Decomposition)
        assert gap.shares[0].counts is counts, gap.shares[0].why
