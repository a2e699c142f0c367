from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as skm
from evaluation_cases import called, predictions, random_predictions
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.evaluation.calibration import reliability
from fruitaudit.evaluation.coverage import accuracy_coverage, accuracy_when_answering
from fruitaudit.evaluation.curves import MAX_POINTS, curve, thin
from fruitaudit.evaluation.evaluate import evaluate
from fruitaudit.records.evaluation import Curve, Predictions, SplitEvaluation
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.runtime.streams import Streams


def area(c: Curve) -> float:
    return float(np.trapezoid(c.y, c.x))


def by_name(curves: tuple[Curve, ...]) -> dict[str, Curve]:
    return {c.name: c for c in curves}


def assert_areas_are_the_figures(result: SplitEvaluation, tolerance: float) -> None:
    roc, pr = by_name(result.roc), by_name(result.precision_recall)
    for row in result.classes:
        assert isinstance(row.auc, Estimate)
        assert isinstance(row.average_precision, Estimate)
        assert area(roc[row.name]) == pytest.approx(row.auc.value, abs=tolerance)
        assert area(pr[row.name]) == pytest.approx(row.average_precision.value, abs=tolerance)
        assert (roc[row.name].n_positive, roc[row.name].n) == (row.support, result.n)
    for name, curves in (("auc_macro", roc), ("average_precision_macro", pr), ("auc_micro", roc)):
        quantity = result.metrics[name]
        assert isinstance(quantity, Estimate)
        assert area(curves[name.rpartition("_")[2]]) == pytest.approx(quantity.value, abs=tolerance)


def test_areas_under_the_curves_are_the_figures() -> None:
    assert_areas_are_the_figures(evaluate(random_predictions(90, 3, 1), Streams(1)), 2e-3)
    ties = random_predictions(90, 3, 1)
    ties = Predictions(**{**vars(ties), "probabilities": np.round(ties.probabilities, 1)})
    assert_areas_are_the_figures(evaluate(ties, Streams(1)), 2e-3)


def test_thousands_of_points_become_two_hundred_with_the_same_area() -> None:
    result = evaluate(random_predictions(9000, 3, 1), Streams(1))
    assert_areas_are_the_figures(result, 3e-3)
    assert max(len(c.x) for c in (*result.roc, *result.precision_recall, result.coverage)) <= MAX_POINTS
    micro = by_name(result.precision_recall)["micro"]
    p = random_predictions(9000, 3, 1)
    one_hot = (p.labels[:, None] == np.arange(3)).ravel()
    assert area(micro) == pytest.approx(skm.average_precision_score(one_hot, p.probabilities.ravel()), abs=3e-3)


def test_roc_by_hand() -> None:
    # scores of class 0, falling: + - + - (and enough images of class 1 that the curve is drawn)
    p = predictions([0, 1] * 10, [[s, 1 - s] for s in np.linspace(0.9, 0.1, 20)])
    roc = by_name(evaluate(p, Streams(1)).roc)["class 0"]
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert roc.x[1:4] == (0, 0.1, 0.1)
    assert roc.y[1:4] == (0.1, 0.1, 0.2)


def test_curves_of_classes_with_few_images_are_left_out_and_said() -> None:
    p = called([0] * 12 + [1] * 9, [0] * 12 + [1] * 9, 2)
    result = evaluate(p, Streams(1))
    assert [c.name for c in result.roc] == ["class 0", "micro", "macro"]
    assert [c.name for c in result.precision_recall] == ["class 0", "micro", "macro"]
    assert result.notes == ("curves are drawn for classes with 10 images or more; left out: class 1",)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 3000), st.integers(0, 10**6))
def test_thinning_keeps_ends_and_stays_close(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.random(n))
    y = np.cumsum(rng.random(n))
    y /= y[-1]
    points = np.stack([x, y], axis=1)
    vertices = thin(x, y, limit=10_000, tolerance=2e-3)
    assert (vertices[0], vertices[-1]) == (0, n - 1)
    assert distance_to_polyline(points, points[vertices]).max() <= 2.5 * 2e-3
    assert len(thin(x, y)) <= MAX_POINTS


def distance_to_polyline(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Euclidean distance of every point from the nearest segment."""
    start, along = corners[:-1], np.diff(corners, axis=0)
    length = np.maximum((along**2).sum(axis=1), 1e-24)
    share = np.clip(((points[:, None] - start) * along).sum(axis=2) / length, 0, 1)
    nearest = start + share[..., None] * along
    return np.hypot(*(points[:, None] - nearest).transpose(2, 0, 1)).min(axis=1)


def test_thinning_keeps_corners() -> None:
    x = np.concatenate([np.zeros(500), np.linspace(0, 1, 500)])
    y = np.concatenate([np.linspace(0, 0.7, 500), np.full(500, 0.7)])
    thinned = curve("corner", x, y, 1000)
    assert (thinned.x, thinned.y) == ((0, 0, 1), (0, 0.7, 0.7))


def test_reliability_by_hand() -> None:
    confidence = np.array([0.34, 0.35, 0.39, 0.05, 1.0], dtype=np.float32)
    rows = reliability(confidence, np.array([True, False, True, False, True]))
    assert len(rows) == 15
    # (5/15, 6/15] holds .34 .35 .39; 1 belongs to the last bin
    assert [row.n for row in rows] == [1, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    row = rows[5]
    assert (row.low, row.high, row.confidence) == (5 / 15, 6 / 15, pytest.approx(1.08 / 3))
    assert isinstance(row.accuracy, Estimate)
    assert (row.accuracy.successes, row.accuracy.n) == (2, 3)
    assert (rows[1].confidence, rows[1].accuracy) == (None, NotRun("no prediction has this confidence", "no_images"))


def test_coverage_by_hand() -> None:
    confidence = np.array([0.5, 0.9, 0.9, 0.3], dtype=np.float32)
    c = accuracy_coverage(confidence, np.array([False, True, False, True]))
    assert c.x == (0.5, 0.75, 1.0)  # the two at 0.9 are answered together
    assert c.y == (0.5, round(1 / 3, 5), 0.5)


def test_abstaining() -> None:
    labels = [0] * 10
    sure = np.linspace(0.95, 0.55, 10)
    right = [True] * 6 + [False] * 4
    p = predictions(labels, [[s, 1 - s] if ok else [1 - s, s] for s, ok in zip(sure, right, strict=True)])
    for share, hits, n in [(1.0, 6, 10), (0.7, 6, 7), (0.61, 6, 7), (0.5, 5, 5), (0.01, 1, 1)]:
        answered = accuracy_when_answering(p, share)
        assert isinstance(answered, Estimate)
        assert (answered.successes, answered.n) == (hits, n)
    assert accuracy_when_answering(called([0, 1, 1], [0, 0, 1], 2), 0.3) == accuracy_when_answering(
        called([0, 1, 1], [0, 0, 1], 2), 1.0
    )
    assert isinstance(accuracy_when_answering(predictions([], np.zeros((0, 2))), 0.5), NotRun)
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        accuracy_when_answering(p, 0)
