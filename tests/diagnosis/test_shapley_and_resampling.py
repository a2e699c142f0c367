from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from fruitaudit.diagnosis.gap.change import all_subsets
from fruitaudit.diagnosis.gap.shapley import beginnings, draw_orders, shares, shares_of_orders
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.means import SHARE, difference_of_means, mean_of, weights

NAMES = ("light", "scale", "blur", "hue")
RNG = np.random.default_rng(0)
GAME = {subset: RNG.normal(size=7) for subset in all_subsets(NAMES)}


def test_shares_are_the_mean_over_all_orders() -> None:
    slow = {name: np.zeros(7) for name in NAMES}
    orders = list(permutations(NAMES))
    for order in orders:
        before: frozenset[str] = frozenset()
        for name in order:
            slow[name] += (GAME[before | {name}] - GAME[before]) / len(orders)
            before |= {name}
    fast, ordered = shares(NAMES, GAME), shares_of_orders(orders, GAME)
    for name in NAMES:
        assert fast[name] == pytest.approx(slow[name])
        assert ordered[name] == pytest.approx(slow[name])


def test_shares_sum_to_the_whole_and_an_idle_player_gets_nothing() -> None:
    game = {subset: GAME[subset - {"hue"}] for subset in GAME}
    player_shares = shares(NAMES, game)
    assert sum(player_shares.values()) == pytest.approx(game[frozenset(NAMES)] - game[frozenset()])
    assert np.abs(player_shares["hue"]).max() < 1e-12


def test_sampled_orders_need_only_their_beginnings_and_sum_to_the_whole() -> None:
    orders = draw_orders(NAMES, np.random.default_rng(1), 6)
    assert orders[1] == orders[0][::-1]
    player_shares = shares_of_orders(orders, {subset: GAME[subset] for subset in beginnings(orders)})
    assert sum(player_shares.values()) == pytest.approx(GAME[frozenset(NAMES)] - GAME[frozenset()])


def test_sources_are_resampled_whole() -> None:
    values = np.repeat([0.0, 1.0], 50)
    images = mean_of(values, np.arange(100), True, Streams(9), "a")
    sources = mean_of(values, np.repeat(np.arange(10), 10), True, Streams(9), "a")
    assert images.value == sources.value == 0.5
    assert sources.high - sources.low > 2 * (images.high - images.low)
    assert (images.n_groups, sources.n_groups) == (100, 10)
    few = mean_of(values, np.repeat(np.arange(4), 25), True, Streams(9), "a")
    assert (few.value, few.low, few.no_interval.code) == (0.5, None, "too_few_groups")
    assert "optimistic" in mean_of(values, np.arange(100), False, Streams(9), "a").note


def test_weights_count_each_source_alike_for_all_its_images() -> None:
    w = weights(np.array([0, 0, 1, 2]), Streams(9), "w")
    assert w.sum(axis=1) == pytest.approx(1)
    assert (w[:, 0] == w[:, 1]).all()


def test_no_change_at_all_still_has_an_interval() -> None:
    estimate = mean_of(np.zeros(60), np.arange(60), True, Streams(9), "zero")
    assert (estimate.low, estimate.high) == pytest.approx((-0.05, 0.05))


@pytest.mark.parametrize(("value", "ends"), [(0.0, (0.0, 0.05)), (1.0, (0.95, 1.0))])
def test_no_share_reaches_beyond_all_or_none(value: float, ends: tuple[float, float]) -> None:
    estimate = mean_of(np.full(60, value), np.arange(60), True, Streams(9), "share", possible=SHARE)
    assert (estimate.low, estimate.high) == pytest.approx(ends)


def test_a_loss_of_everything_reaches_no_farther() -> None:
    estimate = mean_of(np.full(60, -1.0), np.arange(60), True, Streams(9), "lost")
    assert (estimate.low, estimate.high) == pytest.approx((-1, -0.95))


def test_all_right_in_one_split_and_all_wrong_in_the_other_is_not_known_exactly() -> None:
    estimate = difference_of_means(np.ones(60), np.arange(60), np.zeros(100), np.arange(100), True, Streams(9), "all")
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((1, 0.92, 1))
    assert estimate.interval == "rule of three"


def test_a_difference_has_the_value_of_the_means() -> None:
    a, b = np.ones(40), np.repeat([0.0, 1.0], 20)
    estimate = difference_of_means(a, np.arange(40), b, np.arange(40), True, Streams(9), "d")
    assert estimate.value == 0.5
    assert 0.3 < estimate.low < 0.5 < estimate.high < 0.7
