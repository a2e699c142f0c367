"""Each finding with data that must raise it and data that must not."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import numpy as np
import pytest

from fruitaudit.attribution.base import Diagnostic
from fruitaudit.attribution.registry import native_methods
from fruitaudit.evaluation.evaluate import evaluate
from fruitaudit.findings import find
from fruitaudit.findings.data import of_data
from fruitaudit.records.data import BadFile, LabelConflict, Role, SplitSummary
from fruitaudit.records.evaluation import Predictions, SplitEvaluation
from fruitaudit.records.explanations import ExplanationRow
from fruitaudit.records.inputs import PreparationSetting, PreparationTrial, PreprocessingSummary
from fruitaudit.records.judgement import Finding
from fruitaudit.records.results import ClassOrder
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.runtime.streams import Streams

NAMES = ("Apple", "Avocado", "Banana", "Pear")
WRITTEN = PreprocessingSummary(8, 8, 3, "stretch", "area", "0-1")


def split(name: str, role: Role, predicted: np.ndarray, sure: float = 0.9) -> SplitEvaluation:
    """25 images per class; `predicted` (4, 25) are the classes the model names."""
    labels = np.repeat(np.arange(4), 25)
    probabilities = np.full((100, 4), (1 - sure) / 3, np.float32)
    probabilities[np.arange(100), predicted.ravel()] = sure
    ids = tuple(f"{name}/{i}" for i in range(100))
    return evaluate(Predictions(name, role, NAMES, ids, labels, probabilities, np.log(probabilities)), Streams(9))


RIGHT = np.repeat(np.arange(4), 25).reshape(4, 25)
MOSTLY_PEAR = np.where(np.arange(25) < 5, RIGHT, 3)
SPREAD = np.where(np.arange(25) < 5, RIGHT, (RIGHT + 1 + np.arange(25) % 3) % 4)


def slugs(*evaluations: SplitEvaluation, **more: object) -> dict[str, Finding]:
    arguments = {"splits": (), "class_orders": (), "preprocessing": WRITTEN, "explanations": ()} | more
    return {f.slug: f for f in find(evaluations, **arguments)}  # type: ignore[arg-type]


def test_a_gap_is_critical_comes_first_and_carries_its_interval() -> None:
    findings = find((split("test", "test", RIGHT), split("store", "field", MOSTLY_PEAR)), (), (), WRITTEN, ())
    assert findings[0].slug == "field-gap"
    assert findings[0].severity == "critical"
    assert "On store the model gets 40.0 % of the images right, on test 100.0 %" in findings[0].sentence
    assert any("difference 60.0 points, 95 % interval" in line for line in findings[0].evidence)


CHANCE = np.where(np.arange(25) < 6, RIGHT, (RIGHT + 1 + np.arange(25) % 3) % 4)


def test_a_lab_at_chance_is_a_pipeline_that_does_not_fit_and_nothing_else_is_told() -> None:
    splits = (split("test", "test", CHANCE), split("store", "field", MOSTLY_PEAR))
    findings = find(splits, (), (), UNDECIDED, ())
    assert (findings[0].slug, findings[0].severity) == ("does-not-fit", "critical")
    assert "test: balanced accuracy 24.0 %" in findings[0].evidence[0]
    assert "chance is 25.0 %" in findings[0].evidence[0]
    assert {"collapse", "field-gap", "no-better-than-guessing", "overconfident"}.isdisjoint(f.slug for f in findings)
    mending = PreparationTrial({"scale": "-1-1"}, Estimate(0.9, 100, 0.8, 0.95), 0.38, 1e-9, True, False)
    [first, *_] = find(splits, (), (), replace(UNDECIDED, trials=(mending,)), ())
    assert "Write scale: -1-1 under model.preprocessing, with which 90.0 % of the images of test" in first.remedy
    assert "does-not-fit" not in slugs(split("test", "test", MOSTLY_PEAR))


def test_training_images_known_and_test_images_at_chance_is_overfitting() -> None:
    found = slugs(split("train", "reference", RIGHT), split("test", "test", CHANCE))
    assert "on test: it has learned its training images by heart" in found["overfitting"].sentence
    assert "does-not-fit" not in found
    assert "overfitting" not in slugs(split("train", "reference", MOSTLY_PEAR), split("test", "test", CHANCE))


def test_the_field_is_compared_with_the_lab_that_was_asked_for() -> None:
    splits = (split("val", "test", MOSTLY_PEAR), split("test", "test", RIGHT), split("store", "field", MOSTLY_PEAR))
    assert "on test 100.0 %" in slugs(*splits)["field-gap"].sentence
    assert "field-gap" not in slugs(*splits, lab="val")


def test_a_model_that_works_everywhere_has_no_finding() -> None:
    assert slugs(split("test", "test", RIGHT), split("store", "field", RIGHT)) == {}


def test_collapse_names_the_class_and_counts() -> None:
    finding = slugs(split("store", "field", MOSTLY_PEAR))["collapse"]
    assert (
        "Pear is the model's answer to 85 of 100 store images (85 %), though only 25 (25 %) show it" in finding.sentence
    )
    assert finding.severity == "critical"
    assert "collapse" not in slugs(split("store", "field", SPREAD))


def test_a_model_at_chance_is_not_shown_to_beat_guessing() -> None:
    constant = np.full((4, 25), 3)
    assert "no-better-than-guessing" in slugs(split("store", "field", constant))
    assert "no-better-than-guessing" not in slugs(split("store", "field", MOSTLY_PEAR))


def test_one_answer_for_every_picture_is_critical() -> None:
    constant = np.full((4, 25), 3)
    found = slugs(split("test", "test", constant), split("store", "field", constant))
    finding = found["constant-answer"]
    assert finding.severity == "critical"
    assert finding.sentence == (
        "The model gives every picture of test and store the same answer, with the same probabilities: it does not "
        "tell the classes apart."
    )
    assert finding.evidence[0] == (
        "test: Pear is the answer to all 100 images, 25 show it; no class's probability differs by more than 0 "
        "among them"
    )
    assert "collapse" not in found
    assert "constant-answer" not in slugs(split("store", "field", MOSTLY_PEAR))


def test_one_answer_with_probabilities_that_vary_needs_ten_images_of_two_classes() -> None:
    def answers(n: int, labels: list[int], digests: tuple[str, ...] | None = None) -> dict[str, Finding]:
        rows = np.float32([[0.9 - i / 100, 0.1 + i / 100] if digests is None else [0.9, 0.1] for i in range(n)])
        ids = tuple(map(str, range(n)))
        given = Predictions("s", "field", ("a", "b"), ids, np.array(labels), rows, np.log(rows), None, digests)
        return slugs(evaluate(given, Streams(9)))

    assert answers(10, [0] * 5 + [1] * 5)["constant-answer"].sentence == (
        "The model gives every picture of s the same answer: it does not tell the classes apart."
    )
    assert "constant-answer" not in answers(9, [0] * 5 + [1] * 4)
    assert "constant-answer" not in answers(12, [0] * 12)
    assert "constant-answer" in answers(2, [0, 1], ("x", "y"))
    assert "constant-answer" not in answers(2, [0, 1], ("x", "x"))


def test_never_recognised_lists_the_classes() -> None:
    constant = np.full((4, 25), 3)
    assert slugs(split("store", "field", constant))["never-recognised"].sentence == (
        "On store no image was recognised of 3 of 4 classes: Apple (0 of 25), Avocado (0 of 25), Banana (0 of 25)."
    )


def few(predicted: list[int]) -> SplitEvaluation:
    """One image of each class, called as given."""
    p = np.full((4, 4), 0.1, np.float32)
    p[np.arange(4), predicted] = 0.7
    ids = tuple(f"store/{i}" for i in range(4))
    return evaluate(Predictions("store", "field", NAMES, ids, np.arange(4), p, np.log(p)), Streams(9))


def test_four_images_prove_neither_collapse_nor_never_nor_guessing() -> None:
    findings = slugs(few([0, 3, 3, 3]))
    assert "collapse" not in findings
    assert findings["never-recognised"].severity == "note"
    assert findings["never-recognised"].remedy.startswith("Label more images")
    assert findings["no-better-than-guessing"].severity == "warning"
    assert findings["no-better-than-guessing"].remedy == "Label more images before this model is used for them."
    assert slugs(few([1, 2, 3, 0]))["no-better-than-guessing"].severity == "critical"


def test_a_gap_is_also_told_without_the_mix_of_classes() -> None:
    gap = slugs(split("test", "test", RIGHT), split("store", "field", MOSTLY_PEAR))["field-gap"]
    assert "balanced accuracy, whatever the mix of classes: 100.0 % on test and 40.0 % on store" in gap.evidence


def test_what_the_surest_answers_are_worth_is_counted() -> None:
    """90 % sure of the 20 right images and of 20 wrong ones, 60 % of the rest."""
    labels = np.repeat(np.arange(4), 25)
    predicted, sure = SPREAD.ravel(), np.where(np.arange(25) < 10, 0.9, 0.6)
    p = np.repeat(((1 - np.tile(sure, 4)) / 3)[:, None], 4, axis=1).astype(np.float32)
    p[np.arange(100), predicted] = np.tile(sure, 4)
    predictions = Predictions("store", "field", NAMES, tuple(map(str, range(100))), labels, p, np.log(p))
    finding = slugs(evaluate(predictions, Streams(9)))["overconfident"]
    assert any("of the 40 images it is surest of (40 %), it got right 50.0 % (20 of 40;" in e for e in finding.evidence)


def test_overconfidence_is_told_from_doubt() -> None:
    assert "overconfident" in slugs(split("store", "field", SPREAD, sure=0.95))
    assert "overconfident" not in slugs(split("store", "field", SPREAD, sure=0.26))


def test_a_far_better_class_order_comes_before_everything() -> None:
    orders = (ClassOrder("as given", "test", 0.02, 100), ClassOrder("reversed", "test", 0.99, 100))
    findings = find((split("test", "test", RIGHT), split("store", "field", MOSTLY_PEAR)), (), orders, WRITTEN, ())
    assert findings[0].slug == "class-order"
    assert "With the class names reversed, accuracy on test is 99.0 % instead of 2.0 %" in findings[0].sentence
    assert "class-order" not in slugs(
        class_orders=(replace(orders[0], accuracy=0.99), replace(orders[1], accuracy=0.02))
    )


def test_a_mended_list_of_classes_can_be_pasted() -> None:
    given = ClassOrder("as given", "test", 0.5, 200)
    better = ClassOrder("assigned as the confusions say", "test", 0.9, 100, None, ("b", "a"), 0.48, 1e-9)
    finding = slugs(class_orders=(given, better))["class-order"]
    assert "accuracy on test is 90.0 % instead of 48.0 %" in finding.sentence
    assert finding.evidence == (
        "100 images of test; with the names as given 48.0 %; the assignment was found on the other images of the split",
        'mended list: classes: ["b", "a"]',
    )
    assert "class-order" not in slugs(class_orders=(given, replace(better, chance=0.002)))


def test_bad_files_are_named_with_their_reason() -> None:
    bad = (BadFile("Pear/1.jpg", "is empty"),)
    summary = SplitSummary("store", "field", "store", 50, 49, (49,), bad, (), "0")
    finding = slugs(splits=(summary,))["bad-files"]
    assert finding.severity == "warning"
    assert finding.evidence == ("Pear/1.jpg: is empty",)


UNDECIDED = replace(
    WRITTEN,
    settings=(PreparationSetting("scale", "0-1", "undecided", "scale 0-1: undecided"),),
    accuracy=Estimate(0.52, 100, 0.42, 0.62, successes=52),
    tried_on="test",
)


@pytest.mark.parametrize(("difference", "severity"), [(-0.01, "note"), (-0.084, "warning"), (0.3, "critical")])
def test_an_undecided_preparation_is_as_loud_as_what_hangs_on_it(difference: float, severity: str) -> None:
    share = Estimate(0.52 + difference, 100, 0.1, 0.9)
    trials = (
        PreparationTrial({"scale": "-1-1"}, share, difference, 0.1, False, True),
        PreparationTrial({"scale": "0-255"}, Estimate(0.0, 100, 0.0, 0.1), -0.52, 0.0, True, False),
    )
    finding = slugs(preprocessing=replace(UNDECIDED, trials=trials))["preparation-undecided"]
    assert finding.severity == severity
    told = f"on 100 images of test it would be {100 * share.value:.1f} % with -1-1 instead of 52.0 %"
    assert (told in finding.sentence) == (severity != "note")


def test_established_settings_are_a_note() -> None:
    known = replace(WRITTEN, settings=(PreparationSetting("scale", "0-255", "file", "It rescales."),))
    assert slugs(preprocessing=known)["preparation-established"].severity == "note"


def row(completeness: tuple[float | None, ...], empty: tuple[str, ...] = ()) -> ExplanationRow:
    return ExplanationRow(
        group="g", method="integrated_gradients", title="Integrated gradients", provider="native",
        explains="logit", channels="sum", signed=True, options={}, file="x.npz", kind="maps", sample_ids=("a", "b"),
        target_classes=("Pear", "Pear"), scale=1.0, empty=empty, diagnostics={"completeness_error": completeness},
        notes=(), model_passes=2,
    )  # fmt: skip


@pytest.mark.parametrize(("errors", "expected"), [((0.01, 0.02), False), ((0.01, 0.3), True), ((0.01, None), True)])
def test_incomplete_attributions_are_said(errors: tuple[float | None, ...], expected: bool) -> None:
    assert ("incomplete-attribution" in slugs(explanations=(row(errors),))) is expected


def test_a_large_share_of_a_small_difference_says_so() -> None:
    rough = replace(row((0.01, 2.76)), diagnostics={"completeness_error": (0.01, 2.76), "score_difference": (3, -0.02)})
    finding = slugs(explanations=(rough,))["incomplete-attribution"]
    assert finding.sentence.startswith("1 of 2 ")
    assert finding.evidence == (
        "integrated_gradients, g: relative completeness error 2.76 of a difference of -0.02 logits: b",
    )


@pytest.mark.parametrize(
    ("method", "title", "name"),
    [("lrp", "LRP", "conservation_error"), ("deep_lift", "DeepLIFT", "additivity_error"),
     ("deep_shap", "DeepSHAP", "additivity_error")],
)  # fmt: skip
def test_maps_that_do_not_add_up_are_said(method: str, title: str, name: str) -> None:
    rows = replace(row(()), method=method, title=title, diagnostics={name: (0.3, None)})
    lost = slugs(explanations=(rows,))["lost-attribution"]
    assert lost.sentence.startswith(f"2 of 2 {title} maps do not add up to the score that they share out, by more than")
    assert lost.evidence == (f"{method}, g: not finite: b", f"{method}, g: off by 30.0 %: a")
    assert "lost-attribution" not in slugs(explanations=(replace(rows, diagnostics={name: (0.002, 0.009)}),))


def test_lime_maps_of_a_poor_fit_are_said() -> None:
    lime = replace(row(()), method="lime", title="LIME")
    poor = slugs(explanations=(replace(lime, diagnostics={"r2": (0.04, 0.98)}),))["poor-fit"]
    assert poor.sentence.startswith("1 of 2 LIME maps come from a linear model that explains less than 50 %")
    assert poor.evidence == ("lime, g: R^2 0.04: a",)
    assert "poor-fit" not in slugs(explanations=(replace(lime, diagnostics={"r2": (0.6, 0.98)}),))


LIMITED = [(name, one) for name, method in native_methods().items() for one in method.registration.diagnostics
           if one.poor is not None]  # fmt: skip


@pytest.mark.parametrize(("name", "diagnostic"), LIMITED, ids=[f"{name}-{one.name}" for name, one in LIMITED])
def test_a_poor_result_is_said_of_the_method_that_made_it(name: str, diagnostic: Diagnostic) -> None:
    """With its title, and a remedy that knows its options alone."""
    method = native_methods()[name]
    assert diagnostic.poor is not None
    beyond = diagnostic.poor / 2 if diagnostic.higher_is_better else 2 * diagnostic.poor
    title = method.registration.title
    poor = replace(row(()), method=name, title=title, diagnostics={diagnostic.name: (beyond, diagnostic.poor)})
    # The same numbers beside a method that does not register them say nothing of it.
    other = replace(poor, method="saliency", title="Saliency", diagnostics={diagnostic.name: (beyond, beyond)})
    [finding] = [finding for finding in find((), (), (), WRITTEN, (poor, other)) if finding.slug == diagnostic.slug]
    assert finding.sentence == f"1 of 2 {title} maps {diagnostic.fault}."
    assert f"{100 * diagnostic.poor:.0f} %" in finding.sentence
    assert finding.remedy == diagnostic.remedy
    options = {field.name for field in fields(method)}
    assert set(re.findall("`(.+?)`", finding.remedy)) <= options
    titles = {registered.registration.title for registered in native_methods().values()} - {title}
    assert not [other_title for other_title in titles if other_title in finding.sentence]
    assert len(finding.evidence) == 1
    assert finding.evidence[0].startswith(f"{name}, g: ")


def test_two_methods_with_one_diagnostic_are_two_findings() -> None:
    rows = (row((0.3, 0.3)), replace(row((0.01, 0.2)), method="expected_gradients", title="Expected gradients"))
    findings = [finding for finding in find((), (), (), WRITTEN, rows) if finding.slug == "incomplete-attribution"]
    assert [finding.sentence.partition(" maps ")[0] for finding in findings] == [
        "2 of 2 Integrated gradients", "1 of 2 Expected gradients",
    ]  # fmt: skip
    assert [re.findall("`(.+?)`", finding.remedy) for finding in findings] == [["steps"], ["samples"]]


def test_empty_maps_are_said() -> None:
    assert slugs(explanations=(row((0.0, 0.0), empty=("store/1",)),))["empty-maps"].evidence == (
        "integrated_gradients: store/1",
    )


def test_share_says_why_there_is_no_number() -> None:
    assert NotRun("no image", "not_computed").text(share=True) == "not computed: no image"
    assert Estimate(0.5, 4, 0.15, 0.85, 2, "Wilson").text(share=True) == "50.0 % (2 of 4; 95 % interval 15.0–85.0 %)"


def test_pictures_under_two_classes_are_named() -> None:
    conflict = LabelConflict(("store/a/1.png", "store/b/7.png"), ("a", "b"))
    split = SplitSummary("store", "field", "folder", 20, 20, (10, 10), (), (), "", conflicts=(conflict,))
    (finding,) = of_data((split,))
    assert (finding.slug, finding.severity, finding.effect, finding.split) == (
        "label-conflict",
        "warning",
        0.1,
        "store",
    )
    assert finding.sentence == (
        "2 of 20 images of store repeat a picture under another class: at most one of its labels is right."
    )
    assert finding.evidence == ("store/a/1.png as a and store/b/7.png as b",)
    (finding,) = of_data((replace(split, n_used=2000),))
    assert finding.severity == "note"
