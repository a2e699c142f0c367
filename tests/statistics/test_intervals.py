from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.statistics.intervals import difference, proportion, wilson
from fruitaudit.statistics.paired import mcnemar
from fruitaudit.statistics.settle import images_needed, is_settled


def test_wilson_of_the_textbook() -> None:
    # Newcombe 1998, Stat. Med. 17, 857-872, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for r, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        estimate = wilson(r, n)
        assert (round(estimate.low or 0, 4), round(estimate.high or 0, 4)) == (low, high)
        assert (estimate.value, estimate.n, estimate.successes, estimate.interval) == (r / n, n, r, "Wilson")


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(case: tuple[int, int]) -> None:
    successes, n = case
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    estimate = wilson(successes, n)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= (estimate.low or 0) <= estimate.value <= (estimate.high or 0) <= 1


@pytest.mark.parametrize(("n", "p"), [(20, 0.15), (100, 0.5), (320, 0.15), (1000, 0.97)])
def test_wilson_covers_about_95_percent(n: int, p: float) -> None:
    covered = [k for k in range(n + 1) if (wilson(k, n).low or 0) <= p <= (wilson(k, n).high or 1)]
    assert 0.93 < binom.pmf(covered, n, p).sum() < 0.98


def test_no_proportion_of_nothing() -> None:
    assert proportion(np.zeros(0, bool), otherwise="no images") == NotRun("no images", "no_images")
    for successes, n in [(1, 0), (3, 2), (-1, 5)]:
        with pytest.raises(ValueError, match="no proportion"):
            wilson(successes, n)


def test_difference_is_newcombes_method_10() -> None:
    # Newcombe 1998, Stat. Med. 17, 873-890, table II, contrasts (a), (b) and (c).
    for a, b, low, high in [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
    ]:
        gap = difference(wilson(*a), wilson(*b))
        assert (round(gap.low or 0, 4), round(gap.high or 0, 4)) == (low, high)
        assert gap.value == pytest.approx(a[0] / a[1] - b[0] / b[1])
        assert (gap.n, gap.interval) == (a[1] + b[1], "Newcombe")


def test_difference_of_other_figures() -> None:
    a, b = Estimate(0.9, 100, 0.8, 0.95), Estimate(0.4, 50, 0.3, 0.6)
    gap = difference(a, b)
    assert gap.low == pytest.approx(0.5 - np.hypot(0.1, 0.2))
    assert gap.high == pytest.approx(0.5 + np.hypot(0.05, 0.1))
    assert gap.interval.startswith("MOVER")
    none = difference(a, Estimate(0.4, 50))
    assert (none.value, none.low, none.high) == (0.5, None, None)
    assert "no interval" in none.note


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.99))
def test_images_needed_is_where_wilson_lets_go_of_the_threshold(case: tuple[int, int], threshold: float) -> None:
    estimate = wilson(*case)
    needed = images_needed(estimate, threshold)
    if abs(estimate.value - threshold) < 1e-3:
        return
    assert needed is not None

    def holds_threshold(n: int) -> bool:
        p, z = estimate.value, 1.959963984540054
        centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
        return bool((centre - half) / (1 + z * z / n) <= threshold <= (centre + half) / (1 + z * z / n))

    assert not holds_threshold(needed + 1)
    assert needed <= 2 or holds_threshold(needed - 2)
    assert is_settled(estimate, threshold) == (needed <= estimate.n)


def test_images_needed_of_a_bootstrap_interval_grow_with_the_square() -> None:
    estimate = Estimate(0.8, 100, 0.7, 0.85)
    assert images_needed(estimate, 0.75) == 401  # the lower arm of 0.1 must halve
    assert images_needed(estimate, 0.9) in (25, 26)  # the upper arm of 0.05 may double
    assert is_settled(estimate, 0.9)
    assert not is_settled(estimate, 0.75)


def test_what_cannot_be_settled() -> None:
    assert images_needed(wilson(9, 10), 0.9) is None
    assert images_needed(Estimate(0.8, 100), 0.5) is None
    assert not is_settled(Estimate(0.8, 100), 0.5)


def test_mcnemar_is_the_sign_test_of_the_discordant_pairs() -> None:
    def test(one: int, other: int) -> float | None:
        return mcnemar(np.arange(30) < one, np.arange(30) >= 30 - other)

    assert test(0, 0) == 1.0
    assert test(5, 0) == test(0, 5) == pytest.approx(2 * 0.5**5)
    assert test(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    both = np.ones(4, bool)
    assert mcnemar(both, both) == 1.0  # images of both kinds do not count
