from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.config.schema import GateSettings
from fruitaudit.errors import ConfigError
from fruitaudit.evaluation.evaluate import evaluate
from fruitaudit.gates import Counts, asked_top_k, check_gates, foretold, judge
from fruitaudit.records.data import BadFile, SplitSummary
from fruitaudit.records.evaluation import ClassRow, Curve, Predictions, SplitEvaluation
from fruitaudit.records.judgement import GateResult, Verdict
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.intervals import wilson

NAMES = ("Apple Granny Smith", "Avocado", "Banana", "Pear", "Onion [red]")
HITS = (18, 1, 16, 0, 20)


def row(name: str, hits: int, support: int = 20) -> ClassRow:
    recall: Quantity = wilson(hits, support) if support else NotRun("no image of this class", "not_computed")
    precision: Quantity = wilson(hits, hits + 5) if hits else NotRun("never predicted", "not_computed")
    auc = Estimate(0.9, 100, 0.85, 0.95, interval="stratified bootstrap, 1000 resamples")
    return ClassRow(name, support, hits + 5, hits, precision, recall, auc, auc, auc)


EVALUATION = SplitEvaluation(
    split="store",
    role="field",
    n=100,
    metrics={
        "accuracy": wilson(55, 100),
        "auc_macro": Estimate(0.71, 100, 0.65, 0.77, interval="stratified bootstrap, 1000 resamples"),
        "no_information_rate": Estimate(0.2, 100, successes=20, note="no interval, it describes the split"),
        "ece": Estimate(float("nan"), 100, 0.1, 0.2),
        "brier": Estimate(0.5, 100, float("nan"), 0.6),
        "mcc": NotRun("undefined where all are called one class", "not_computed"),
    },
    classes=tuple(row(name, hits) for name, hits in zip(NAMES, HITS, strict=True)),
    averages=(),
    confusion=(),
    roc=(),
    precision_recall=(),
    reliability=(),
    coverage=Curve("coverage", (), (), 100),
)
BAD = (BadFile("store/x.jpg", "truncated"),)
SPLIT = SplitSummary("store", "field", "store", 100, 100, (20,) * 5, (), (), "")


def run(*gates: str | dict[str, object], evaluation: SplitEvaluation = EVALUATION, split: SplitSummary = SPLIT,
        share: float = 0.01) -> tuple[tuple[GateResult, ...], Verdict]:  # fmt: skip
    gate_settings = [GateSettings.model_validate(gate) for gate in gates]
    return judge(gate_settings, [evaluation], [split], share)


def one(gate: str, evaluation: SplitEvaluation = EVALUATION, **options: object) -> GateResult:
    (result,), _ = run({"gate": gate, **options}, evaluation=evaluation)
    return result


@pytest.mark.parametrize(
    ("expression", "state"),
    [
        ("accuracy[store] >= 0.55", "pass"),
        ("accuracy[store] > 0.55", "fail"),
        ("accuracy[store] <= 0.55", "pass"),
        ("accuracy[store] < 0.55", "fail"),
        ("  accuracy [ store ]>=.5 ", "pass"),
        ("accuracy[store] >= 5.6e-1", "fail"),
        ("recall[store][Banana] >= 0.8", "pass"),
        ("recall[store][Banana] > 0.8", "fail"),
        ('recall[store]["Onion [red]"] >= 0.8', "pass"),
        ("auc[store][Pear] >= 0.9", "pass"),
        ("auc[store][*] >= 0.9", "pass"),
        ("auc[store][*] >= 0.91", "fail"),
        ("recall[store][*] >= 0", "pass"),
        ("recall[store][*] >= 0.05", "fail"),
        ("precision[store][Pear] >= 0", "not_run"),
        ("precision[store][*] >= 0", "not_run"),
        ("precision[store][*] >= 0.5", "fail"),
        ("mcc[store] >= -1", "not_run"),
        ("ece[store] <= 9", "not_run"),
        ("ece[store] >= -9", "not_run"),
        ("log_loss[store] <= 9", "not_run"),
        ("top5_accuracy[store] >= 0", "not_run"),
        ("recall[store][Kiwi] >= 0", "not_run"),
        ("accuracy[lab] >= 0", "not_run"),
    ],
)
def test_states(expression: str, state: str) -> None:
    result = one(expression)
    assert result.state == state
    assert result.gate == expression
    if state == "not_run" and "*" not in expression:
        assert isinstance(result.measured, NotRun)


@pytest.mark.parametrize(
    ("gate", "on", "state"),
    [
        ("accuracy[store] >= 0.5", "value", "pass"),
        ("accuracy[store] >= 0.5", "lower", "fail"),  # 45.2 % to 64.4 %
        ("accuracy[store] >= 0.6", "upper", "pass"),
        ("accuracy[store] <= 0.6", "upper", "fail"),
        ("no_information_rate[store] >= 0", "lower", "not_run"),
        ("no_information_rate[store] >= 0", "value", "pass"),
        ("brier[store] >= 0", "lower", "not_run"),  # NaN
        ("brier[store] <= 0.6", "upper", "pass"),
    ],
)
def test_which_end_of_the_interval(gate: str, on: str, state: str) -> None:
    assert one(gate, on=on).state == state


def test_nan_never_passes() -> None:
    for bound in (float("nan"), float("inf")):
        for op in (">=", "<=", ">", "<"):
            metrics = {"accuracy": Estimate(bound, 100, bound, bound, successes=1)}
            result = one(f"accuracy[store] {op} 0", replace(EVALUATION, metrics=metrics))
            assert result.state == "not_run"
            assert result.sentence == "Accuracy on store cannot be judged: the figure is not a finite number."


def test_sentences_carry_number_interval_and_denominator() -> None:
    assert one("accuracy[store] >= 0.9").sentence == (
        "Accuracy on store is 55.0 % (55 of 100 images; 95 % interval 45.2–64.4 %), but should be at least 90 %."
    )
    assert one("accuracy[store] >= 0.5").sentence.endswith("45.2–64.4 %), as asked: at least 50 %.")
    assert one("accuracy[store] >= 0.5", on="lower").sentence.endswith(
        "but should be at least 50 % at the lower end of its interval."
    )
    assert one("auc_macro[store] > 0.8").sentence == (
        "Macro AUC on store is 0.710 (100 images; 95 % interval 0.650–0.770), but should be above 0.8."
    )
    assert one("recall[store][Avocado] < 0.5").sentence == (
        "Recall on store of Avocado is 5.0 % (1 of 20 images; 95 % interval 0.9–23.6 %), as asked: below 50 %."
    )
    assert one("mcc[store] > 0").sentence == (
        "Matthews correlation on store cannot be judged: undefined where all are called one class."
    )
    assert "(20 of 100 images; no interval)" in one("no_information_rate[store] < 0.5").sentence


def test_a_figure_never_looks_like_the_threshold_it_misses() -> None:
    nearly = replace(EVALUATION, metrics={"accuracy": wilson(89_996, 100_000)})
    sentence = one("accuracy[store] >= 0.9", nearly).sentence
    assert "is 89.996 % (" in sentence


def test_every_class_names_the_worst_and_how_many_more() -> None:
    assert one("recall[store][*] >= 0.99").sentence == (
        "Recall on store should be at least 99 % but is not for 4 of 5 classes: "
        "Pear 0.0 % (0 of 20 images; 95 % interval 0.0–16.1 %), "
        "Avocado 5.0 % (1 of 20 images; 95 % interval 0.9–23.6 %), "
        "Banana 80.0 % (16 of 20 images; 95 % interval 58.4–91.9 %) and 1 more."
    )
    assert one("recall[store][*] <= 0.95").sentence.startswith(
        "Recall on store should be at most 95 % but is not for 1 of 5 classes: Onion [red] 100.0 %"
    )
    passed = one("recall[store][*] >= 0")
    assert passed.sentence.startswith("Recall on store is at least 0 % for all 5 classes, as asked; the worst is Pear")
    assert passed.measured == wilson(0, 20)
    missing = one("precision[store][*] >= 0.1")
    assert missing.sentence == (
        "Precision on store cannot be judged for 1 of 5 classes: Pear (never predicted); "
        "for the other 4 it is at least 10 %, as asked."
    )
    failed = one("precision[store][*] >= 0.5").sentence
    assert failed.endswith("3.0–56.4 %); it cannot be judged for 1 of 5 classes: Pear (never predicted).")


def test_min_support() -> None:
    rows = (row("a", 9, 10), row("b", 1, 30))
    evaluation = replace(EVALUATION, classes=rows)
    assert one("recall[store][a] >= 0.5", evaluation, min_support=10).state == "pass"
    few = one("recall[store][a] >= 0.5", evaluation, min_support=11)
    assert few.state == "not_run"
    assert few.sentence == "Recall on store of a cannot be judged: 10 images where min_support asks for 11."
    assert one("recall[store][*] >= 0.01", evaluation, min_support=11).state == "not_run"
    assert one("recall[store][*] >= 0.5", evaluation, min_support=11).state == "fail"
    assert one("recall[store][*] >= 0.5", evaluation, min_support=99).state == "not_run"
    assert one("accuracy[store] >= 0.5", min_support=101).state == "not_run"


def test_classes_without_images_are_left_out_and_said() -> None:
    evaluation = replace(EVALUATION, classes=(row("a", 20), row("b", 0, 0)))
    result = one("recall[store][*] >= 0.5", evaluation)
    assert (result.state, result.n_classes, result.n_without_images) == ("pass", 1, 1)
    assert result.sentence == (
        "Recall on store is at least 50 % for all 1 class with images, as asked; the worst is a with 100.0 % "
        "(20 of 20 images; 95 % interval 83.9–100.0 %); 1 has none."
    )
    named = one("recall[store][b] >= 0.5", evaluation)
    assert named.sentence == "Recall on store of b cannot be judged: no image of this class."
    assert (named.state, named.n_classes, named.n_without_images) == ("not_run", None, None)


def test_a_model_of_a_thousand_outputs_can_pass() -> None:
    few = tuple(row(f"c{i}", 18 if i else 9) for i in range(12))
    evaluation = replace(EVALUATION, classes=(*few, *(row(f"c{i}", 0, 0) for i in range(12, 1000))))
    assert one("recall[store][*] >= 0.4", evaluation).state == "pass"
    failed = one("recall[store][*] >= 0.5", evaluation)
    assert failed.sentence == (
        "Recall on store should be at least 50 % but is not for 1 of 12 classes with images: "
        "c0 45.0 % (9 of 20 images; 95 % interval 25.8–65.8 %); 988 have none."
    )
    few_images = one("recall[store][*] >= 0.4", evaluation, min_support=21)
    assert few_images.state == "not_run"
    assert few_images.sentence.startswith("Recall on store cannot be judged for 12 of 12 classes with images: c0 (20")
    assert few_images.sentence.endswith("and 9 more; 988 have none.")
    assert (few_images.n_classes, few_images.n_without_images) == (12, 988)


@pytest.mark.parametrize("classes", [(), (row("a", 0, 0), row("b", 0, 0))])
def test_no_class_with_images_is_not_run(classes: tuple[ClassRow, ...]) -> None:
    result = one("precision[store][*] >= 0", replace(EVALUATION, classes=classes))
    assert result.state == "not_run"
    assert result.sentence == "Precision on store cannot be judged: no class has images in store."


def test_too_many_bad_files() -> None:
    split = replace(SPLIT, n_found=101, bad=BAD)
    (ok,), verdict = run("accuracy[store] >= 0.5", split=split, share=0.01)
    assert (ok.state, verdict.exit_code) == ("pass", 0)
    (no,), verdict = run("accuracy[store] >= 0.5", split=replace(split, n_found=99), share=0.01)
    assert (no.state, verdict.exit_code) == ("not_run", 3)
    assert no.sentence == (
        "Accuracy on store cannot be judged: 1 of 99 files of split store could not be used (1.01 %), "
        "more than max_bad_share allows (1 %)."
    )
    every, verdict = run("recall[store][*] >= 0.9", "accuracy[lab] >= 0.5", split=replace(split, n_found=99))
    assert [result.state for result in every] == ["not_run", "not_run"]
    assert every[1].sentence == "Accuracy on lab cannot be judged: split lab was not evaluated."


PASS, FAIL, NOT_RUN = "accuracy[store] >= 0.5", "accuracy[store] >= 0.9", "mcc[store] >= 0"


@pytest.mark.parametrize(
    ("gates", "state", "code", "sentence"),
    [
        ((), "no_gates", 0, "No gates are set: nothing was judged."),
        ((PASS,), "pass", 0, "1 of 1 gate passed."),
        ((PASS, FAIL), "fail", 1, f"1 of 2 gates failed: {FAIL}."),
        ((PASS, NOT_RUN), "not_run", 3, f"1 of 2 gates could not be computed: {NOT_RUN}."),
        ((NOT_RUN, FAIL), "fail", 1, f"1 of 2 gates failed: {FAIL}; 1 of 2 gates could not be computed: {NOT_RUN}."),
        ((PASS, {"gate": FAIL, "severity": "warn"}), "pass", 0, f"1 of 1 gate passed; 1 warning: {FAIL}."),
        (({"gate": NOT_RUN, "severity": "warn"},), "pass", 0, f"No gate counts, all only warn; 1 warning: {NOT_RUN}."),
    ],
)
def test_verdict(gates: tuple[str, ...], state: str, code: int, sentence: str) -> None:
    _, verdict = run(*gates)
    assert verdict == Verdict(state, code, sentence)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gate", "settle"),
    [
        ("accuracy[store] >= 0.9", "already settled: the interval lies on one side of the threshold"),
        # z^2 0.25 / 0.05^2 = 384.1
        ("accuracy[store] >= 0.5", "settled with about 390 images"),
        ("accuracy[store] >= 0.55", "never settled if the figure stays: it is the threshold itself"),
        # 100 (0.06 / 0.04)^2 = 225
        ("auc_macro[store] >= 0.75", "settled with about 230 images"),
        ("no_information_rate[store] >= 0.1", "unknown: there is no interval"),
        ("mcc[store] >= 0.1", ""),
        # z^2 0.21 / 0.1^2 = 80.7
        ("recall[store][Banana] >= 0.7", "settled with about 81 images of Banana"),
        ("precision[store][Banana] >= 0.7", "settled with about 220 images called Banana"),
        # Pear surely fails, which settles it for all
        ("recall[store][*] >= 0.7", "already settled: the interval lies on one side of the threshold"),
    ],
)
def test_how_many_images_settle_it(gate: str, settle: str) -> None:
    assert one(gate).settle == settle


def test_the_class_that_needs_most_settles_a_gate_on_all() -> None:
    evaluation = replace(EVALUATION, classes=(row("a", 16), row("b", 15), row("c", 20)))
    # a: 81, b: z^2 0.21 / 0.05^2 = 322.7
    assert one("recall[store][*] >= 0.7", evaluation).settle == "settled with about 330 images of b"


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("recall[store][avocado] >= 0.9", "the model has no class avocado; did you mean Avocado"),
        ("recall[store][Kiwi] >= 0.9", "the model has no class Kiwi; known are Apple Granny Smith, Avocado"),
        ("accuracy[store][device=phone] >= 0.9", r"figures of a slice are not computed yet; leave out \[device=...\]"),
        ("recall[store][*][device=*] >= 0.9", "figures of a slice are not computed yet"),
        ("accuracy[store] >= baseline - 0.01", "not compared with a baseline yet; write a number in its place"),
    ],
)
def test_what_can_be_seen_before_the_audit(gate: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_gates([GateSettings(gate=gate)], NAMES, [])


@pytest.mark.parametrize(
    ("gate", "min_support", "code"),
    [
        ("accuracy[store][device=phone] >= 0", 0, "not_applicable"),
        ("accuracy[store] >= baseline - 1", 0, "no_baseline"),
        ("recall[store][Banana] >= 0", 21, "too_few_images"),
        ("recall[store][*] >= 0", 21, "too_few_images"),
        ("recall[store][Kiwi] >= 0", 0, "not_found"),
        ("ece[store] >= 0", 0, "undefined"),
    ],
)
def test_what_is_not_run_says_why_in_a_code(gate: str, min_support: int, code: str) -> None:
    result = one(gate, min_support=min_support)
    assert isinstance(result.measured, NotRun)
    assert (result.state, result.measured.code) == ("not_run", code)


def test_a_thousand_classes_are_not_all_listed() -> None:
    with pytest.raises(ConfigError, match=r"known are c0, c1, .*, c29 and 970 more$"):
        check_gates([GateSettings(gate="recall[store][Kiwi] >= 0.9")], [f"c{i}" for i in range(1000)], [])


def test_each_k_that_gates_ask_for_is_measured() -> None:
    gates = ["accuracy[store] >= 0.9", "recall[store][*] >= 0.7", "top5_accuracy[store] > 0", "verdict[lime] == read"]
    assert asked_top_k([GateSettings(gate=gate) for gate in gates]) == (3, 5)
    assert asked_top_k([]) == (3,)


GATES = ["accuracy[store] >= 0", "recall[store][b] >= 0", "recall[store][*] >= 0", "auc[store][*] >= 0",
         "average_precision[store][a] >= 0", "f1[store][c] >= 0", "f1[store][*] >= 0", "top2_accuracy[store] >= 0",
         "top3_accuracy[store] >= 0"]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    counts=st.tuples(*[st.sampled_from([0, 1, 2, 9])] * 3).filter(any),
    bad=st.sampled_from([0, 1]),
    gate=st.sampled_from(GATES),
    min_support=st.sampled_from([0, 2, 3]),
)
def test_the_plan_foretells_what_the_judge_says(
    counts: tuple[int, int, int], bad: int, gate: str, min_support: int
) -> None:
    """Each figure is at least 0, so that only the number of images decides."""
    n = sum(counts)
    labels = np.repeat(np.arange(3), counts)
    probabilities = np.eye(3, dtype=np.float32)[labels]
    ids = tuple(map(str, range(n)))
    predictions = Predictions("store", "field", ("a", "b", "c"), ids, labels, probabilities, probabilities)
    evaluation = evaluate(predictions, Streams(9), top_k=(2, 3))
    split = replace(SPLIT, n_found=n + bad, bad=BAD * bad)
    gate_settings = GateSettings(gate=gate, min_support=min_support)
    classes = tuple(zip(("a", "b", "c"), counts, strict=True))
    (result,), _ = judge([gate_settings], [evaluation], [split], 0.2)
    reason = foretold(gate_settings, gate_settings.gate, Counts(classes, n + bad, bad), 0.2)
    assert (result.state == "not_run") == bool(reason), (result, reason)
    assert reason.removeprefix("it ").removesuffix(", so that it can only fail or not be computed") in result.sentence


def test_the_plan_says_where_a_gate_can_only_fail() -> None:
    gate_settings = GateSettings(gate="recall[store][*] >= 0.5", min_support=5)
    counts = Counts((("a", 9), ("b", 4), ("c", 0)), 13, 0)
    assert foretold(gate_settings, gate_settings.gate, counts, 0) == (
        "it cannot be judged for 1 of 2 classes with images: b (4 images where min_support asks for 5), "
        "so that it can only fail or not be computed"
    )
