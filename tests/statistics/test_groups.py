"""Where images come in groups, intervals, tests and gates are made of groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fruitaudit.evaluation.evaluate import evaluate
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics import bootstrap
from fruitaudit.statistics.groups import design_effect, numbered
from fruitaudit.statistics.intervals import difference, share_of, wilson
from fruitaudit.statistics.means import mean_of
from fruitaudit.statistics.paired import mcnemar
from fruitaudit.statistics.settle import images_needed
from fruitaudit.statistics.small_samples import mean_over_images

STREAMS = Streams(9)


def ends(estimate: object) -> tuple[float, float]:
    assert isinstance(estimate, Estimate)
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def predictions(group_size: int | None, n: int = 240, seed: int = 0) -> Predictions:
    """Four classes; images of a group share their class and much of what the model makes of them."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) // (group_size or 1)
    labels = groups % 4
    logits = rng.normal(size=(n, 4)) + 1.5 * rng.normal(size=(groups.max() + 1, 4))[groups]
    logits[np.arange(n), labels] += 1.5
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    named = None if group_size is None else tuple(f"object {g}" for g in groups)
    return Predictions(
        "s", "field", tuple("abcd"), tuple(map(str, range(n))), labels, p.astype(np.float32),
        logits.astype(np.float32), named,
    )  # fmt: skip


@given(st.integers(5, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_groups_of_one_image_give_wilsons_interval(case: tuple[int, int]) -> None:
    successes, n = case
    result, alone = share_of(np.arange(n) < successes, np.arange(n)), wilson(successes, n)
    assert ends(result) == ends(alone)
    assert (result.n_groups, result.n_effective, result.design_effect) == (n, n, 1)


def test_groups_of_one_image_give_the_intervals_of_images() -> None:
    images, groups = (evaluate(predictions(size), STREAMS) for size in (None, 1))
    for name, quantity in images.metrics.items():
        if isinstance(quantity, Estimate) and quantity.low is not None:
            width = ends(quantity)[1] - ends(quantity)[0]
            assert ends(groups.metrics[name]) == pytest.approx(ends(quantity), abs=0.05 * width), name


def test_copies_of_an_image_say_no_more_than_the_image() -> None:
    hits = np.arange(40) < 28
    result = share_of(np.repeat(hits, 8), np.repeat(np.arange(40), 8))
    assert result.n_effective == pytest.approx(40 * 39 / 40)  # G / (G - 1): the variance between groups is unbiased
    assert result.design_effect == pytest.approx(320 / 39)
    # As wide as of 40 images, but for Student's quantile.
    low, high = ends(wilson(28, 40))
    assert ends(result) == pytest.approx((low, high), abs=0.012)
    assert ends(result)[0] < low


def test_where_every_answer_is_right_groups_are_what_counts() -> None:
    result = share_of(np.ones(60, bool), np.repeat(np.arange(12), 5))
    assert result.n_effective == 12
    assert ends(result) == pytest.approx(ends(wilson(12, 12)))
    uneven = share_of(np.ones(60, bool), np.array([0] * 48 + list(range(1, 13))))
    assert uneven.n_effective == pytest.approx(60**2 / (48**2 + 12))


def test_errors_in_fewer_than_five_groups_do_not_show_how_groups_differ() -> None:
    hits = np.ones(300, bool)
    hits[[0, 10, 20]] = False
    result = design_effect(hits, np.repeat(np.arange(30), 10))
    assert result.n_effective > 250  # as if independent
    assert result.n_low < 30  # but no end rests on that


def test_the_design_effect_is_that_of_the_ratio_estimator() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(25), rng.integers(1, 12, 25))
    hits = rng.random(len(groups)) < rng.random(25)[groups]
    n, p = len(hits), hits.mean()
    squares = sum((hits[groups == g].sum() - p * (groups == g).sum()) ** 2 for g in range(25))
    expected = max(1.0, 25 / 24 * squares / n**2 / (p * (1 - p) / n))
    result = share_of(hits, groups)
    assert result.design_effect == pytest.approx(expected)
    assert result.n_effective == pytest.approx(n / expected)


@pytest.mark.parametrize(("p", "rho"), [(0.5, 0.0), (0.8, 0.3), (0.95, 0.6)])
def test_intervals_by_groups_cover_the_truth(p: float, rho: float) -> None:
    rng, groups, covered, naive = np.random.default_rng(3), np.repeat(np.arange(40), 5), 0, 0
    for _ in range(400):
        probabilities = rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), 40)[groups] if rho else p
        hits = rng.random(200) < probabilities
        low, high = ends(share_of(hits, groups))
        covered += low <= p <= high
        low, high = ends(share_of(hits))
        naive += low <= p <= high
    # Fewer than 366 of 400 has probability 0.001 at a true coverage of 95 %.
    assert covered >= binom.ppf(0.001, 400, 0.95)
    assert rho < 0.3 or naive < 0.9 * 400


def test_under_five_groups_there_is_a_value_and_no_interval() -> None:
    p = replace(predictions(60), group_ids=tuple(f"patient {i % 4}" for i in range(240)))
    result = evaluate(p, STREAMS)
    figures = [*result.metrics.values(), *(getattr(row, name) for row in result.classes
               for name in ("precision", "recall", "f1", "auc", "average_precision"))]  # fmt: skip
    for figure in figures:
        if isinstance(figure, Estimate) and "describes the split" not in figure.note:
            assert (figure.low, figure.high) == (None, None)
            assert figure.no_interval is not None
            assert figure.no_interval.code == "too_few_groups"
    scores = mean_over_images(np.linspace(0, 1, 12), STREAMS, groups=np.arange(12) % 3)
    assert isinstance(scores, Estimate)
    assert (scores.value, scores.low) == (0.5, None)
    lab = share_of(np.arange(50) < 40)
    assert difference(lab, share_of(np.arange(8) < 4, np.arange(8) // 4)).no_interval is not None


def test_figures_of_groups_are_wider_than_of_images() -> None:
    groups, images = (evaluate(p, STREAMS) for p in (predictions(10), replace(predictions(10), group_ids=None)))
    for name in ("auc_macro", "balanced_accuracy", "brier", "log_loss", "f1_macro", "average_precision_macro"):
        wide, narrow = (high - low for low, high in (ends(e.metrics[name]) for e in (groups, images)))
        assert wide > 1.5 * narrow, name


def test_resamples_of_groups_are_what_a_slow_loop_finds() -> None:
    p = predictions(6, n=120)
    groups, n_groups = numbered(np.unique(p.group_ids, return_inverse=True)[1])
    counts = np.concatenate(
        list(bootstrap.draw(p.labels, np.random.default_rng(4), resamples=2000, groups=groups)), axis=1
    )
    of_group = p.labels[np.unique(groups, return_index=True)[1]]
    rng, right, slow = np.random.default_rng(5), (p.predicted == p.labels).astype(float), []
    for _ in range(2000):
        group_numbers = np.concatenate(
            [rng.choice(np.flatnonzero(of_group == c), (of_group == c).sum()) for c in range(4)]
        )
        rows = np.concatenate([np.flatnonzero(groups == g) for g in group_numbers])
        slow.append(np.mean([right[rows][p.labels[rows] == c].mean() for c in range(4)]))
    fast = np.mean([right[p.labels == c] @ counts[p.labels == c] / 30 for c in range(4)], axis=0)
    assert n_groups == 20
    assert fast.mean() == pytest.approx(np.mean(slow), abs=0.01)
    assert np.quantile(fast, [0.025, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.02)


def test_classes_keep_their_weight_where_groups_mix_them() -> None:
    labels, groups = np.arange(60) % 2, np.arange(60) // 6
    labels[:6] = 0
    for counts in bootstrap.draw(labels, np.random.default_rng(0), resamples=50, groups=groups):
        assert counts[labels == 1].sum(axis=0) == pytest.approx(27)
        assert counts[labels == 0].sum(axis=0) == pytest.approx(33)


def test_pairs_in_groups_are_not_counted_one_by_one() -> None:
    one = np.repeat(np.array([True] * 8 + [False] * 4), 10)
    groups = np.repeat(np.arange(12), 10)
    alone, grouped = mcnemar(one, ~one), mcnemar(one, ~one, groups)
    assert alone is not None
    assert grouped is not None
    assert alone < 0.001 < 0.1 < grouped
    assert mcnemar(one, ~one, groups // 4) is None
    assert mcnemar(one, ~one, np.arange(120)) == alone


def test_a_mean_of_one_image_per_group_is_that_of_images() -> None:
    values = np.random.default_rng(2).normal(size=40)
    apart = mean_over_images(values, STREAMS, groups=np.arange(40)[::-1])
    assert ends(apart) == ends(mean_over_images(values, STREAMS))
    assert ends(mean_of(values > 0, np.arange(40), True, STREAMS, "x")) == pytest.approx(
        ends(mean_of(values > 0, np.arange(40), False, STREAMS, "x")), abs=0.02
    )


def test_images_needed_grow_with_the_design_effect() -> None:
    hits = np.arange(40) < 28
    alone, grouped = share_of(hits), share_of(np.repeat(hits, 8), np.repeat(np.arange(40), 8))
    few, many = images_needed(alone, 0.6), images_needed(grouped, 0.6)
    assert few is not None
    assert many is not None
    assert 7 < many / few < 10
