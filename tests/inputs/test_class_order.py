from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import called

from fruitaudit.inputs.class_order import far_better, judge_class_orders
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.results import ClassOrder

LABELS = [0, 1, 2, 3, 4] * 20


def under(answers: np.ndarray, names: str = "abcde") -> tuple[ClassOrder, ...]:
    p = called(LABELS, answers.tolist(), 5)
    return judge_class_orders(Predictions(**{**vars(p), "class_names": tuple(names)}))


@pytest.mark.parametrize(
    ("output", "order", "names"),
    [
        (lambda label: 4 - label, "reversed", "edcba"),
        (lambda label: (label + 1) % 5, "shifted by 4", "eabcd"),
        (lambda label: (label - 2) % 5, "shifted by 2", "cdeab"),
    ],
)
def test_names_in_another_order_are_found(output: object, order: str, names: str) -> None:
    orders = under(np.array([output(label) for label in LABELS]))  # type: ignore[operator]
    assert orders[0].order == "as given"
    assert orders[1:] == (ClassOrder(order, "store", 1.0, 100, names=tuple(names)),)
    assert far_better(orders) == orders[1]


def test_names_that_should_be_sorted() -> None:
    # names as given: c a b d e; the model's outputs are sorted, so that output 0 means a, which is label 1
    answers = np.array([sorted("cabde").index("cabde"[label]) for label in LABELS])
    assert under(answers, "cabde")[1] == ClassOrder("sorted by name", "store", 1.0, 100, names=tuple("abcde"))


def test_a_right_order_is_not_doubted() -> None:
    orders = under(np.array(LABELS))
    assert orders[0] == ClassOrder("as given", "store", 1.0, 100)
    assert orders[1].accuracy < 0.5
    assert far_better(orders) is None


def test_chance_is_not_far_better() -> None:
    rng = np.random.default_rng(0)
    assert far_better(under(rng.integers(0, 5, 100))) is None
    few = (ClassOrder("as given", "test", 0.0, 3), ClassOrder("reversed", "test", 0.67, 3))
    assert far_better(few) is None
    many = (ClassOrder("as given", "test", 0.01, 100_000), ClassOrder("reversed", "test", 0.05, 100_000))
    assert far_better(many) is None


def test_no_images_no_orders() -> None:
    assert judge_class_orders(called([], [], 3)) == ()
    assert [o.order for o in judge_class_orders(called([0, 1], [0, 1], 2))] == ["as given", "reversed"]
    assert far_better(()) is None


def test_numbers_that_should_go_by_number() -> None:
    names = tuple(sorted(map(str, range(12))))
    labels = np.repeat(np.arange(12), 5)
    answers = np.array([int(names[label]) for label in labels])  # outputs by number
    p = replace(called(labels.tolist(), answers.tolist(), 12), class_names=names)
    best = judge_class_orders(p)[1]
    assert (best.order, best.accuracy, best.names) == ("sorted by number", 1.0, tuple(map(str, range(12))))


OUTPUT_OF = np.array([2, 0, 1, 3, 4, 5, 6, 7])
"""Three of eight names stand at the outputs of others: class 0 is output 2, class 1 output 0, class 2 output 1."""


def noisy(output_of: np.ndarray, each: int, right: float, seed: int = 0, groups: int | None = None) -> Predictions:
    rng, k = np.random.default_rng(seed), len(output_of)
    labels = np.repeat(np.arange(k), each)
    answers = np.where(rng.random(len(labels)) < right, output_of[labels], rng.integers(0, k, len(labels)))
    p = called(labels.tolist(), answers.tolist(), k)
    ids = None if groups is None else tuple(f"{label}-{i % groups}" for i, label in enumerate(labels))
    return replace(p, class_names=tuple("abcdefgh"[:k]), group_ids=ids)


@pytest.mark.parametrize("groups", [None, 40])
def test_any_assignment_is_found_on_one_half_and_judged_on_the_other(groups: int | None) -> None:
    orders = judge_class_orders(noisy(OUTPUT_OF, 80, 0.7, groups=groups))
    best = far_better(orders)
    assert best is not None
    assert (best.order, best.n, best.names) == ("assigned as the confusions say", 320, tuple("bcadefgh"))
    assert best.given_accuracy == pytest.approx(0.47, abs=0.1)
    assert best.accuracy == pytest.approx(0.74, abs=0.1)
    assert (best.chance or 0) < 0.001


def test_assignments_that_are_not_believed() -> None:
    identity = np.arange(8)
    for seed in range(200):
        assert far_better(judge_class_orders(noisy(identity, 40, 0.3 * (seed % 4), seed))) is None
    few = judge_class_orders(noisy(OUTPUT_OF, 9, 1.0))  # under ten images of each class no name is moved
    assert [row.order for row in few[2:]] == []


def test_a_class_that_is_never_answered_gives_its_name_to_no_other() -> None:
    # all images of a are called b and fewer than half of those of b: with the two swapped, more answers would be right
    labels, answers = np.repeat([0, 1], 1000), np.r_[np.ones(1000, int), np.where(np.arange(1000) % 20 < 9, 1, 2)]
    p = replace(called(labels.tolist(), answers.tolist(), 3), class_names=("a", "b", "c"))
    assert all(row.order != "assigned as the confusions say" for row in judge_class_orders(p))
