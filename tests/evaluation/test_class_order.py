from __future__ import annotations

import numpy as np
import pytest
from evaluation_cases import called

from fruitaudit.evaluation.class_order import far_better, judge_class_orders
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.results import ClassOrder

LABELS = [0, 1, 2, 3, 4] * 20


def under(answers: np.ndarray, names: str = "abcde") -> tuple[ClassOrder, ...]:
    p = called(LABELS, answers.tolist(), 5)
    return judge_class_orders(Predictions(**{**vars(p), "class_names": tuple(names)}))


@pytest.mark.parametrize(
    ("output", "order"),
    [
        (lambda label: 4 - label, "reversed"),
        (lambda label: (label + 1) % 5, "shifted by 4"),
        (lambda label: (label - 2) % 5, "shifted by 2"),
    ],
)
def test_names_in_another_order_are_found(output: object, order: str) -> None:
    orders = under(np.array([output(label) for label in LABELS]))  # type: ignore[operator]
    assert orders[0].order == "as given"
    assert orders[1] == ClassOrder(order, "store", 1.0, 100)
    assert far_better(orders) == orders[1]


def test_names_that_should_be_sorted() -> None:
    # names as given: c a b d e; the model's outputs are sorted, so that output 0 means a, which is label 1
    answers = np.array([sorted("cabde").index("cabde"[label]) for label in LABELS])
    assert under(answers, "cabde")[1] == ClassOrder("sorted by name", "store", 1.0, 100)


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
