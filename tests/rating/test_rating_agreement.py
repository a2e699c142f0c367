"""Krippendorff's alpha: the published example, a slow replica of its definition, and its ends."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from fruitaudit.rating.agreement import agreement, alpha, coincidences
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.runtime.streams import Streams

STREAMS = Streams(9)
GAP = np.nan
# Krippendorff 2011, sec. E: four observers, twelve units, missing data; ordinal alpha 0.815.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, GAP, GAP, GAP],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, GAP, 3],
        [GAP, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, GAP],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, GAP],
    ]
)


def slow_alpha(ratings: np.ndarray) -> float:
    """1 - D_o / D_e from all pairs of values, one at a time."""
    units = [[v for v in unit if np.isfinite(v)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    values = [v for unit in units for v in unit]

    def distance(c: float, k: float) -> float:
        low, high = min(c, k), max(c, k)
        between = sum(low <= v <= high for v in values)
        return (between - (values.count(c) + values.count(k)) / 2) ** 2

    observed = sum(sum(distance(a, b) for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = sum(distance(a, b) for a, b in permutations(values, 2))
    return 1 - (len(values) - 1) * observed / expected


def fast_alpha(ratings: np.ndarray) -> float:
    return float(alpha(coincidences(ratings).sum(axis=0)))


def test_the_published_example() -> None:
    assert fast_alpha(PUBLISHED) == pytest.approx(0.815, abs=5e-4)


def test_its_coincidences() -> None:
    """The table of values by values, as published: 40 pairable values."""
    table = coincidences(PUBLISHED).sum(axis=0)
    assert table.sum() == pytest.approx(40)
    assert np.diag(table) == pytest.approx([7, 10, 8, 4, 3], abs=1e-9)
    assert table.sum(axis=1) == pytest.approx([9, 13, 10, 5, 3])


@pytest.mark.parametrize("seed", range(8))
def test_against_a_slow_replica(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratings = rng.integers(1, 6, (3, 12)).astype(float)
    ratings[rng.random(ratings.shape) < 0.3] = GAP
    assert fast_alpha(ratings) == pytest.approx(slow_alpha(ratings), abs=1e-12)


def test_perfect_reversed_and_random_raters() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(1, 6, 4000).astype(float)
    assert fast_alpha(np.stack([first, first])) == 1
    assert fast_alpha(np.stack([first, rng.permutation(first)])) == pytest.approx(0, abs=0.05)
    assert fast_alpha(np.stack([first, 6 - first])) < -0.9


def test_near_misses_count_less_than_far_ones() -> None:
    base = np.tile(np.arange(1.0, 6.0), 4)
    near, far = base.copy(), base.copy()
    near[0], far[0] = 2, 5
    assert fast_alpha(np.stack([base, near])) > fast_alpha(np.stack([base, far]))


def agreement_of(ratings: np.ndarray, pictures: int = 10) -> Estimate | NotRun:
    of = np.arange(ratings.shape[1]) % pictures
    return agreement(ratings, of, np.arange(pictures) % 2, STREAMS)


def test_the_interval_is_that_of_other_pictures() -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(1, 6, 60).astype(float)
    second = np.where(rng.random(60) < 0.7, first, rng.integers(1, 6, 60))
    few, many = agreement_of(np.stack([first, second])[:, :20]), agreement_of(np.tile([first, second], 4), pictures=40)
    assert isinstance(few, Estimate)
    assert few.n == 10
    assert "20 maps" in few.note
    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(
    ("ratings", "why"),
    [
        (np.full((2, 20), 3.0), "all these ratings are the same"),
        (np.array([[1.0, GAP, 2.0], [GAP, 4.0, GAP]]), "no map was rated twice"),
        (np.array([[1.0, GAP, 2.0], [2.0, 4.0, GAP]]), "only one map was rated twice"),
    ],
)
def test_what_cannot_be_computed_says_why(ratings: np.ndarray, why: str) -> None:
    result = agreement_of(ratings)
    assert isinstance(result, NotRun)
    assert why in result.reason
