from __future__ import annotations

import threading

import numpy as np
import pytest

from fruitaudit.attribution.passes import add_per_image, ahead, rows, runs, shown_or_hidden


def test_what_is_made_ahead_comes_in_order_and_one_step_early() -> None:
    explanation, used = [], threading.Event()

    def items():
        for i in range(5):
            explanation.append(i)
            if i == 1:
                used.set()
            yield i

    coming = ahead(items())
    assert next(coming) == 0
    assert used.wait(10), "the second item is made while the first one is used"
    assert list(coming) == [1, 2, 3, 4]
    assert explanation == [0, 1, 2, 3, 4]


def test_an_error_while_making_ahead_is_not_lost() -> None:
    def items():
        yield 1
        raise ValueError("no more")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="no more"):
        next(coming)


@pytest.mark.parametrize("shape", [(7, 9, 3), (1, 5, 3), (5, 1, 1), (1, 1, 1), (6, 4, 5)])
def test_what_is_shown_or_hidden_is_what_numpys_where_says(shape) -> None:
    rng = np.random.default_rng(sum(shape))
    values, hidden = rng.random((2, *shape), dtype=np.float32)
    visible, explanation = rng.random((4, *shape[:2])) < 0.5, np.full((4, *shape), np.nan, np.float32)
    shown_or_hidden(values, hidden, visible, explanation)
    np.testing.assert_array_equal(explanation, np.where(visible[..., None], values, hidden))


def test_sums_an_image_do_not_depend_on_how_batches_are_cut() -> None:
    """To the last bit, though float addition depends on its order."""
    values = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32) * 10.0 ** np.arange(12)[:, None]
    totals = []
    for batch in (1, 5, 12):
        total = np.zeros((3, 3))
        for image, variant in rows(3, 4, batch):
            add_per_image(total, image, values[image * 4 + variant].astype(np.float32))
        totals.append(total)
    np.testing.assert_array_equal(totals[0], totals[1])
    np.testing.assert_array_equal(totals[0], totals[2])
    np.testing.assert_allclose(totals[0], values.astype(np.float32).astype(float).reshape(3, 4, 3).sum(axis=1))


def test_runs_are_the_variants_of_one_image() -> None:
    assert [(i, (r.start, r.stop)) for i, r in runs(np.array([0, 0, 3, 4, 4, 4]))] == [
        (0, (0, 2)),
        (3, (2, 3)),
        (4, (3, 6)),
    ]
    assert list(runs(np.array([], np.int64))) == []
