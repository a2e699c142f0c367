from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as skm
from evaluation_cases import called, predictions, random_predictions
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from fruitaudit.errors import DataError, ModelError
from fruitaudit.evaluation.evaluate import evaluate
from fruitaudit.records.evaluation import Predictions, SplitEvaluation
from fruitaudit.records.metrics import SCALARS
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.runtime.streams import Streams


def value(quantity: Quantity) -> float:
    assert isinstance(quantity, Estimate), quantity
    return quantity.value


def test_three_classes_by_hand() -> None:
    # rows: true class; 4 images of a (3 called a, 1 b), 2 of b (1 a, 1 b), 4 of c (all called b)
    labels = [0] * 4 + [1] * 2 + [2] * 4
    answers = [0, 0, 0, 1, 0, 1, 1, 1, 1, 1]
    result = evaluate(called(labels, answers, 3), Streams(9))
    assert result.confusion == ((3, 1, 0), (1, 1, 0), (0, 4, 0))
    metrics = {name: value(q) for name, q in result.metrics.items() if isinstance(q, Estimate)}
    assert metrics["accuracy"] == 0.4
    assert metrics["no_information_rate"] == 0.4
    assert metrics["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    # agreement by chance: (4*4 + 2*6 + 4*0) / 100 = 0.28
    assert metrics["cohen_kappa"] == pytest.approx((0.4 - 0.28) / (1 - 0.28))
    assert metrics["mcc"] == pytest.approx((4 * 10 - 28) / np.sqrt((100 - 36) * (100 - 52)))
    assert metrics["f1_macro"] == pytest.approx((6 / 8 + 2 / 8 + 0) / 3)
    assert metrics["f1_weighted"] == pytest.approx(0.4 * 6 / 8 + 0.2 * 2 / 8)
    assert metrics["mean_confidence"] == pytest.approx(0.9)
    assert metrics["ece"] == pytest.approx(0.5)
    assert metrics["log_loss"] == pytest.approx(-(4 * np.log(0.9) + 6 * np.log(0.05)) / 10, rel=1e-6)
    right, wrong = 0.1**2 + 2 * 0.05**2, 0.9**2 + 0.95**2 + 0.05**2
    assert metrics["brier"] == pytest.approx((4 * right + 6 * wrong) / 10, rel=1e-6)
    a, b, c = result.classes
    assert (a.support, a.predicted, a.hits) == (4, 4, 3)
    assert (value(b.precision), value(b.recall), value(b.f1)) == (1 / 6, 1 / 2, 1 / 4)
    assert isinstance(b.precision, Estimate)
    assert (b.precision.successes, b.precision.n) == (1, 6)
    assert c.precision == NotRun("never predicted", "no_images")
    assert value(c.recall) == 0
    # class a: positives score 0.9 0.9 0.9 0.05, negatives 0.9 and 5 times 0.05 -> 3 x (5 + 1/2) + 5/2 pairs of 24
    assert value(a.auc) == pytest.approx((3 * 5.5 + 2.5) / 24)
    assert value(a.average_precision) == pytest.approx(3 / 4 * 3 / 4 + 1 / 4 * 4 / 10)


scores = st.tuples(st.integers(2, 6), st.integers(2, 60), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2]))


@settings(max_examples=30, deadline=None)
@given(scores)
def test_figures_are_those_of_scikit_learn(case: tuple[int, int, int, int]) -> None:
    k, n, seed, digits = case
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    p = softmax(rng.normal(size=(n, k)) * 2, axis=1).astype(np.float32)
    if digits:  # ties
        p = np.round(p, digits)
    case_predictions = predictions(labels.tolist(), p)
    result = evaluate(case_predictions, Streams(1))
    assert isinstance(result.metrics["accuracy"], Estimate), "what is NotRun would be compared with nothing"
    compare(result, case_predictions, tied=bool(digits))


def compare(result: SplitEvaluation, p: Predictions, *, tied: bool) -> None:
    y, scores_, answers = p.labels, p.probabilities, p.predicted
    k = scores_.shape[1]
    one_hot = y[:, None] == np.arange(k)

    def check(quantity: Quantity, expected: float) -> None:
        if isinstance(quantity, Estimate):
            assert quantity.value == pytest.approx(expected, abs=1e-6)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m = result.metrics
        check(m["accuracy"], skm.accuracy_score(y, answers))
        check(m["balanced_accuracy"], skm.balanced_accuracy_score(y, answers))
        check(m["cohen_kappa"], skm.cohen_kappa_score(y, answers))
        check(m["mcc"], skm.matthews_corrcoef(y, answers))
        for average in ("macro", "micro", "weighted"):
            check(m[f"f1_{average}"], skm.f1_score(y, answers, average=average, zero_division=0))
        for row in result.averages:
            expected = skm.precision_recall_fscore_support(y, answers, average=row.name, zero_division=0)
            for quantity, figure in zip((row.precision, row.recall, row.f1), expected, strict=False):
                check(quantity, figure)
        check(m["brier"], float(np.mean(np.sum((scores_ - one_hot) ** 2, axis=1))))
        check(m["auc_micro"], skm.roc_auc_score(one_hot.ravel(), scores_.ravel()))
        exact = softmax(p.logits.astype(float), axis=1)
        if exact[one_hot].min() > 1e-12:  # scikit-learn clips at 2e-16
            check(m["log_loss"], skm.log_loss(y, exact, labels=range(k)))
        if k > 3 and not tied:
            check(m["top3_accuracy"], skm.top_k_accuracy_score(y, scores_, k=3, labels=range(k)))
        table = skm.precision_recall_fscore_support(y, answers, labels=range(k), zero_division=0)
        ranked = [c for c in range(k) if 0 < one_hot[:, c].sum() < len(y)]
        assert [isinstance(row.auc, Estimate) for row in result.classes] == [c in ranked for c in range(k)]
        for c, row in enumerate(result.classes):
            check(row.precision, table[0][c])
            check(row.recall, table[1][c])
            check(row.f1, table[2][c])
            assert (row.support, row.predicted) == (table[3][c], (answers == c).sum())
            if c in ranked:
                check(row.auc, skm.roc_auc_score(one_hot[:, c], scores_[:, c]))
                check(row.average_precision, skm.average_precision_score(one_hot[:, c], scores_[:, c]))
        if ranked:
            check(m["auc_macro"], np.mean([skm.roc_auc_score(one_hot[:, c], scores_[:, c]) for c in ranked]))
    assert result.confusion == tuple(map(tuple, skm.confusion_matrix(y, answers, labels=range(k)).tolist()))


def test_names_are_complete() -> None:
    result = evaluate(random_predictions(60, 4, 0), Streams(1), top_k=(2, 3))
    assert set(result.metrics) == {*SCALARS, "top2_accuracy", "top3_accuracy"}


def test_top_k_counts_ties_as_argmax_does() -> None:
    p = predictions([0, 1, 2, 3], np.full((4, 4), 0.25))
    result = evaluate(p, Streams(1), top_k=(1, 3, 4))
    assert value(result.metrics["top1_accuracy"]) == value(result.metrics["accuracy"]) == 0.25
    assert value(result.metrics["top3_accuracy"]) == 0.75
    assert result.metrics["top4_accuracy"] == NotRun(
        "the model has 4 classes: one of its first 4 is always right", "not_applicable"
    )


def test_log_loss_comes_from_the_logits() -> None:
    logits = np.array([[0.0, 200.0], [0.0, 200.0]], dtype=np.float32)
    p = predictions([0, 1], [[0.0, 1.0], [0.0, 1.0]])
    result = evaluate(Predictions(**{**vars(p), "logits": logits}), Streams(1))
    assert value(result.metrics["log_loss"]) == pytest.approx(100.0)


DEGENERATE = {
    "no images": predictions([], np.zeros((0, 3)), names=["a", "b", "c"]),
    "one image": called([1], [1], 3),
    "one wrong image": called([1], [0], 3),
    "one class only": called([2] * 12, [2] * 12, 3),
    "one class, called otherwise": called([2] * 12, [0] * 12, 3),
    "a class with one image": called([0] * 12 + [1], [0] * 12 + [1], 2),
    "a missing class": called([0, 1] * 10, [0, 2] * 10, 3),
    "all scores equal": predictions([0, 1, 2] * 5, np.full((15, 3), 1 / 3)),
    "a perfect model": predictions([0, 1] * 20, np.eye(2)[[0, 1] * 20]),
    "one output": predictions([0, 0], [[1.0], [1.0]]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_small_split_neither_crashes_nor_warns(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(DEGENERATE[name], Streams(9))
    quantities = [*result.metrics.values(), *(row.auc for row in result.classes), *(r.f1 for r in result.classes)]
    for quantity in quantities:
        if isinstance(quantity, NotRun):
            assert quantity.reason
        else:
            assert np.isfinite(quantity.value)
            assert (quantity.low is None) == (quantity.high is None)
            assert quantity.low is not None or quantity.note
            assert quantity.low is None or quantity.low <= quantity.value <= (quantity.high or 0.0)


def test_what_is_not_defined_says_why() -> None:
    nothing = evaluate(DEGENERATE["no images"], Streams(9))
    assert set(nothing.metrics.values()) == {NotRun("the split has no images", "no_images")}
    assert nothing.coverage.n == 0
    one = evaluate(DEGENERATE["one class only"], Streams(9))
    assert one.metrics["auc_macro"] == NotRun("no class has images of its own and of others", "undefined")
    assert one.metrics["cohen_kappa"] == NotRun(
        "undefined: all images are of one class and were called so", "undefined"
    )
    assert one.classes[0].recall == NotRun("no image of this class", "no_images")
    assert one.classes[2].auc == NotRun("no image of another class", "undefined")
    assert one.notes == ("no image of 2 of 3 classes: class 0, class 1",)


def test_labels_and_scores_that_cannot_be_used() -> None:
    good = random_predictions(6, 3, 0)
    scores_ = good.probabilities.copy()
    scores_[4, 1] = np.nan
    with pytest.raises(ModelError, match=r"not finite for 1 of 6 images of split store, the first store/4"):
        evaluate(Predictions(**{**vars(good), "probabilities": scores_}), Streams(1))
    with pytest.raises(DataError, match=r"store/0 has the label 3, but the model has 3 classes"):
        evaluate(Predictions(**{**vars(good), "labels": np.full(6, 3)}), Streams(1))
    with pytest.raises(ModelError, match="give one class name for each output"):
        evaluate(Predictions(**{**vars(good), "class_names": ("a", "b")}), Streams(1))


@pytest.fixture(scope="module")
def store_predictions(store16: Path) -> Predictions:
    """As expected_store.json says: centre crop, cv2.INTER_AREA to 100 x 100, divided by 255."""
    import cv2
    import keras

    names = json.loads((store16 / "expected_store.json").read_text())["class_names"]
    files = [(c, file) for c, name in enumerate(names) for file in sorted((store16 / "store" / name).glob("*.jpg"))]
    images = np.empty((len(files), 100, 100, 3), dtype=np.float32)
    for i, (_, file) in enumerate(files):
        image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        square = image[top : top + side, left : left + side]
        images[i] = cv2.resize(square, (100, 100), interpolation=cv2.INTER_AREA) / 255.0
    model = keras.models.load_model(store16 / "models" / "fruit_cnn.keras", compile=False)
    scores_ = model.predict(images, verbose=0)
    labels = np.array([c for c, _ in files])
    ids = tuple(f"store/{file.parent.name}/{file.name}" for _, file in files)
    return Predictions("store", "field", tuple(names), ids, labels, scores_, np.log(np.maximum(scores_, 1e-30)))


def test_store16_is_as_scikit_learn_says(store16: Path, store_predictions: Predictions) -> None:
    expected = json.loads((store16 / "expected_store.json").read_text())
    result = evaluate(store_predictions, Streams(9))
    assert result.n == expected["n_images"]
    assert result.confusion == tuple(map(tuple, expected["confusion_matrix_rows_true"]))
    scalars = {
        "accuracy": "accuracy",
        "no_information_rate": "no_information_rate",
        "top3_accuracy": "top3_accuracy",
        "cohen_kappa": "cohen_kappa",
        "mcc": "matthews_corrcoef",
    }
    for ours, theirs in scalars.items():
        assert value(result.metrics[ours]) == pytest.approx(expected[theirs], abs=1e-6), ours
    for row in result.classes:
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            quantity = getattr(row, ours)
            figure = 0.0 if isinstance(quantity, NotRun) else quantity.value
            assert figure == pytest.approx(expected["per_class"][row.name][theirs], abs=1e-6)
    macro = result.averages[0]
    figures = (value(macro.precision), value(macro.recall), value(macro.f1))
    assert figures == pytest.approx([expected["macro"][name] for name in ("precision", "recall", "f1-score")], abs=1e-6)
    compare(result, store_predictions, tied=False)


def test_store16_auc_is_as_far_off_as_float32_softmax(store16: Path, store_predictions: Predictions) -> None:
    """Probabilities here reach 0 and 1, where processors round float32 differently and so tie other images."""
    expected = json.loads((store16 / "expected_store.json").read_text())
    result = evaluate(store_predictions, Streams(9))
    assert value(result.metrics["auc_macro"]) == pytest.approx(expected["auc_macro_ovr"], abs=5e-4)
    assert value(result.metrics["auc_micro"]) == pytest.approx(expected["auc_micro_ovr"], abs=5e-4)
    agreeing = 0
    for c, row in enumerate(result.classes):
        scores_, is_class = store_predictions.probabilities[:, c].astype(float), store_predictions.labels == c
        low, high = (
            np.where(scores_ < 1e-36, -1 - side, np.where(scores_ > 1 - 1e-6, 2 + side, scores_))
            for side in (is_class * 1.0, is_class * -1.0)
        )
        ends = sorted(skm.roc_auc_score(is_class, ends_) for ends_ in (low, high))
        assert ends[0] - 1e-9 <= expected["auc_per_class"][row.name] <= ends[1] + 1e-9
        agreeing += abs(value(row.auc) - expected["auc_per_class"][row.name]) < 1e-6
    assert agreeing >= 12
