"""The section on controlled experiments: its sentence, bars, tables and pictures, and all that was not done."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report.conftest import RUN, make_results

from fruitaudit.records.attacks import AttackCurve, Shortcut, Turn, Turned, TurnNotFound
from fruitaudit.records.data_checks import DataCheck, DataCheckNotRun, Distance, FeatureShift, PreprocessingTrial, Shift
from fruitaudit.records.diagnosis import (
    ClaimResult,
    Decomposition,
    Diagnosis,
    Effect,
    EffectNotRun,
    Example,
    ExperimentNotRun,
    GapCheck,
    GapShare,
)
from fruitaudit.records.numbers import tenths
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.report.artefacts import load_results, save_results, save_run
from fruitaudit.report.attacks import strength
from fruitaudit.report.diagnosis import headline
from fruitaudit.report.experiments import effect_tables, trial_table
from fruitaudit.report.folder import open_folder
from fruitaudit.report.html import render_html
from fruitaudit.report.points import between, points
from fruitaudit.report.render import render
from fruitaudit.report.shift import shift_plots
from fruitaudit.report.waterfall import waterfall

SCRIPT = "<script>window.hacked=1</script>"
N = "\u00a0"
NOTE = "every image counts as its own source"


def estimate(value: float, reach: float = 0.02, note: str = "") -> Estimate:
    return Estimate(value, 120, value - reach, value + reach, interval="bootstrap of 120 sources", note=note)


def share(factor: str, title: str, value: float, counts: bool = True) -> GapShare:
    reason = "undoing it regains 4.0 points" if counts else "its interval reaches zero"
    return GapShare(factor, title, estimate(value), 0.5, 0.01, counts, reason, estimate(0.07))


def gap(*shares: GapShare, recomposition: float = 0.01, field: float = 0.25, name: str = "store") -> Decomposition:
    """lab 0.95; what shares and recomposition leave of it; the rest unexplained."""
    transformed = 0.95 - recomposition - sum(s.points.value for s in shares)
    checks = (
        GapCheck("recomposition", True, estimate(recomposition), "cutting out costs little"),
        GapCheck("confusions", False, estimate(-0.1), f"confused otherwise {SCRIPT}"),
        GapCheck("control", None, NotRun("one image per class", "not_computed"), "no other photo of the class"),
    )
    return Decomposition(
        "test", name, estimate(0.95), estimate(field), estimate(0.95 - field), estimate(transformed),
        estimate(recomposition), shares, estimate(transformed - field), checks, "all 8 subsets of 3 factors",
    )  # fmt: skip


SHARES = (
    share("light", "Light", 0.1),
    share("jpeg", "JPEG compression", 0.03, counts=False),
    share("scale", "Size of the object", 0.3),
    share("blur", "Sharpness", -0.02, counts=False),
)
GAP = gap(*SHARES)


def effect(factor: str, direction: str, split: str, before: float, after: float) -> Effect:
    change = estimate(after - before, note=NOTE)
    return Effect(factor, factor.capitalize(), direction, split, f"dose of {factor} {SCRIPT}", estimate(before),
                  estimate(after), change, 0.2, ("a",), ("a caveat",), "store")  # fmt: skip


EFFECTS = (
    effect("light", "toward_field", "test", 0.95, 0.85),
    dataclasses.replace(effect("light", "undo_in_field", "store", 0.25, 0.29), notes=("where it lies was guessed",)),
    effect("scale", "toward_field", "test", 0.95, 0.15),
    EffectNotRun(
        "scale", "Scale", "undo_in_field", "store", NotRun("there are no sure masks", "not_computed"), "store"
    ),
    EffectNotRun(
        "noise", "Noise", "toward_field", "test", NotRun("flat parts are no noisier", "not_computed"), "store"
    ),
    effect("grey", "probe", "test", 0.95, 0.2),
)
TRIALS = (
    PreprocessingTrial("scale", "0-255", "test", estimate(0.95), estimate(0.0)),
    PreprocessingTrial("class order", "the best", "test", estimate(0.95), estimate(0.0)),
    PreprocessingTrial("class order", "the best", "store", estimate(0.37), estimate(0.12)),
)
FULL = Diagnosis(
    listings=(
        DataCheck("duplicates across", "test", 120, 60, f"60 of 120 repeat {SCRIPT}.", ("image", "repeats"),
                ((SCRIPT, "b.png"),), other="train"),
        DataCheck("odd files", "test", 120, 0, "Of 120 images, odd ones: none."),
        DataCheckNotRun("shared groups", "test", NotRun("test has no group_id", "not_computed"), "train"),
    ),
    shifts=(
        Shift("contrast", "deviation", "test", "store", 52.0, 48.0, estimate(-0.5)),
        Shift("width", "pixels", "test", "store", 100.0, 348.0, estimate(24.5)),
        Shift("object share", "share", "test", "store", 0.4, None, NotRun("fewer than three images", "not_computed")),
        *(Shift(f"property {i}", "x", "test", "store", 1.0, 2.0, estimate(0.1 * i)) for i in range(6)),
    ),
    feature_shifts=(FeatureShift("test", "store", estimate(0.97), ("test/unseen.png",), ()),),
    distances=(Distance("store/a.png", SCRIPT, "Pear", "train/x.png", 0.91, 1.0),
               Distance("store/b.png", "Pear", SCRIPT, "train/y.png", 0.2, 0.5)),
    trials=TRIALS,
    effects=EFFECTS,
    decompositions=(GAP,),
    shortcuts=(
        Shortcut("row 1, column 4 of 4", "test", SCRIPT, estimate(0.8), estimate(0.02), (0, 9, 3, 12), ("test/a.png",),
                 f"The corner of {SCRIPT} turns 80 % of the others."),
        Shortcut("background", "test", "Pear", estimate(0.5), estimate(0.02), None, (), "The background turns 50 %.",
                 "background"),
    ),
    attacks=(AttackCurve("PGD", "Linf", "test", (0.0, 1 / 255, 4 / 255),
                         (estimate(0.95), estimate(0.5), estimate(0.1)), estimate(1 / 255, 0)),
             AttackCurve("FGSM", "Linf", "test", (0.0, 4 / 255), (estimate(0.95), estimate(0.7)),
                         NotRun("more than half of the right answers hold at every strength tried", "not_computed"))),
    claims=(ClaimResult(f"cause: {SCRIPT}", "refuted", "light explains 10 points of 70"),),
    findings=(),
    not_run=(
        ExperimentNotRun("labels", NotRun("the model has no dense layer", "not_computed"), "train"),
        ExperimentNotRun("attacks", NotRun("it has no gradient", "not_computed")),
    ),
)  # fmt: skip
EMPTY = dataclasses.replace(
    FULL, listings=(), shifts=(), feature_shifts=(), distances=(), trials=(), effects=(), decompositions=(),
    shortcuts=(), attacks=(), claims=(), not_run=(),
)  # fmt: skip


@pytest.fixture
def show(folder: Path):
    """The HTML of the section for this diagnosis."""

    def show(diagnosis: Diagnosis | NotRun) -> str:
        save_results(folder, dataclasses.replace(load_results(folder), diagnosis=diagnosis))
        return re.search(r'<section id="diagnosis".*?</section>', render_html(open_folder(folder)), re.S)[0]

    return show


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diagnosed")
    save_results(folder, dataclasses.replace(make_results(folder), diagnosis=FULL))
    save_run(folder, RUN)
    render(folder)
    return folder


def test_one_sentence_says_what_each_cause_explains():
    assert headline(GAP) == (
        f"70.0{N}points of accuracy are lost between test and store: 30.0 to size of the object and 10.0 to light; "
        f"JPEG compression and sharpness cost 1.0 more, but did not pass the checks; 28.0{N}points stay unexplained."
    )


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (0.525, f"what is left, +0.5{N}points, may be chance (\u22121.5 to +2.5)"),
        (0.63, f"the changes together cost 10.0{N}points more than the field does, so the shares are too large"),
    ],
)
def test_the_sentence_does_not_claim_what_is_left_by_chance_or_too_much(field, said):
    assert headline(gap(*SHARES, field=field)).endswith(said + ".")


def test_where_nothing_counts_the_sentence_says_so():
    sentence = headline(gap(share("light", "Light", 0.1, counts=False)))
    assert sentence == (
        f"70.0{N}points of accuracy are lost between test and store, and no cause is proven: the changes tried cost "
        f"10.0 in the lab, but did not pass the checks; 59.0{N}points stay unexplained."
    )


def test_the_bars_of_the_waterfall_add_up():
    chart = waterfall(GAP)
    kinds = [step.kind for step in chart.steps]
    assert kinds == ["lab", "cost", "loss", "loss", "open", "open", "sum", "rest", "field"]
    assert [step.label for step in chart.steps][2:6] == ["Size of the object", "Light", "JPEG compression", "Sharpness"]
    totals = {"lab", "sum", "field"}
    for one, other in zip(chart.steps, chart.steps[1:], strict=False):
        here = other.end if other.kind in totals else other.start
        assert one.end == pytest.approx(here), (one.label, other.label)
    losses = sum(step.start - step.end for step in chart.steps if step.kind not in totals)
    assert losses == pytest.approx(0.95 - 0.25)
    assert (chart.left, chart.right) == (0.0, 1.0)
    light = chart.steps[3]
    assert (light.low, light.high) == pytest.approx((light.end - 0.02, light.end + 0.02))
    assert light.spread == "\u221212.0 to \u22128.0"


def test_a_waterfall_that_leaves_the_axis_widens_it():
    chart = waterfall(gap(share("light", "Light", 1.1), share("blur", "Blur", -0.3, counts=False), recomposition=0.0))
    assert chart.left == pytest.approx(-0.15)
    assert chart.at(chart.left) == "0.00%"
    assert chart.at(chart.right) == "100.00%"


def test_the_waterfall_is_drawn_with_words_and_hatches_what_does_not_count(show):
    html = show(FULL)
    drawing = re.search(r'<svg class="bars-chart waterfall".*?</svg>', html, re.S)[0]
    assert f'<title id="wf-title-1">Accuracy from test to store, step by step: Accuracy on test 95.0{N}%' in drawing
    assert f"Size of the object \u221230.0{N}points" in drawing
    assert len(re.findall(r'style="fill: url\(#hatch-1\)"', drawing)) == 2
    assert len(re.findall(r'class="bar-of"', drawing)) == 9
    sentence = (
        f"<b>JPEG compression</b> (3.0{N}points), <b>Sharpness</b> (\u22122.0{N}points): its interval reaches zero."
    )
    assert f"Drawn hatched and not counted:</p><ul><li>{sentence}</li></ul>" in html


def test_each_share_stands_beside_what_another_disturbance_of_its_size_costs(show):
    table = re.search(r'<table class="grid-table shares".*?</table>', show(FULL), re.S)[0]
    assert table.count('<span class="value">7.0</span><span class="between">5.0 to 9.0</span>') == len(SHARES)
    unmeasured = dataclasses.replace(
        GAP, shares=tuple(dataclasses.replace(s, control=NotRun("old", "not_computed")) for s in SHARES)
    )
    assert '<td class="figure">–</td>' in show(dataclasses.replace(FULL, decompositions=(unmeasured,)))


def test_checks_are_passed_failed_or_not_made(show):
    checks = re.search(r'<ul class="gate-list checks">.*?</ul>', show(FULL), re.S)[0]
    assert re.findall(r"badge-([a-z-]+)", checks) == ["pass", "fail", "not-computed"]
    assert "One image per class." in checks
    assert f"Measured: +1.0{N}points (95{N}% interval \u22121.0 to +3.0; 120 images)." in checks


def test_effects_stand_costliest_first_with_what_undoing_them_did(show):
    table = re.search(r'<table class="grid-table effects.*?</table>', show(FULL), re.S)[0]
    assert re.findall(r'<th scope="row">(\w+)', table) == ["Scale", "Light", "Grey"]
    assert f"<b>95.0{N}%</b> → <b>15.0{N}%</b>" in table
    assert "\u221280.0 (\u221282.0 to \u221278.0) points" in table
    assert f"<b>25.0{N}%</b> → <b>29.0{N}%</b>" in table
    assert 'title="there are no sure masks">not run' in table
    assert "Where it lies was guessed." in table


def test_changes_that_were_not_made_say_why(show):
    html = show(FULL)
    assert "2 changes not made, and why" in html
    assert "<b>Noise</b> in test: flat parts are no noisier" in html
    assert "<b>Scale</b> in store, taken back: there are no sure masks" in html
    assert html.count(NOTE[1:]) == 1, "a note on every interval is said once"


def test_two_field_splits_have_a_table_each():
    other = [dataclasses.replace(e, split=e.split.replace("store", "market"), field_split="market") for e in EFFECTS]
    shifts = [dataclasses.replace(s, field_split="market") for s in FULL.shifts]
    two_fields = dataclasses.replace(FULL, effects=(*EFFECTS, *other), shifts=(*FULL.shifts, *shifts))
    tables = effect_tables(two_fields)
    assert [t.field_split for t in tables] == ["store", "market"]
    assert [r.in_field.split for t in tables for r in t.rows] == ["store", "store", "market", "market"]


def test_preparation_is_blamed_only_where_it_helps_the_lab_too():
    table = trial_table(TRIALS)
    assert table.rows[0][:2] == ("class order", "the best")
    assert table.rows[1][2][1] is None
    assert table.verdict == (
        "On test no other way of preparing the files gets surely more answers right. On store, class order "
        f"\u201cthe best\u201d gets 12.0{N}points more right (+10.0 to +14.0); on test it does not, as it "
        "would were the pipeline at fault."
    )
    untried = trial_table((TRIALS[0], TRIALS[2])).verdict
    assert untried.endswith("(+10.0 to +14.0)."), "what was not tried on test is not said of it"
    wrong = (dataclasses.replace(TRIALS[0], gain=estimate(0.4)), *TRIALS[1:])
    assert trial_table(wrong).verdict.startswith(
        f"On test, scale \u201c0-255\u201d gets 40.0{N}points more right (+38.0"
    )


def test_shifts_are_ordered_folded_and_cut_at_the_axis():
    (plot,) = shift_plots(FULL.shifts)
    names = [dot.name for dot in (*plot.visible, *plot.folded)]
    assert names == ["Width", "Contrast", "Property 5", "Property 4", "Property 3", "Property 2", "Property 1",
                     "Property 0"]  # fmt: skip
    assert len(plot.folded) == 2
    width, contrast = plot.visible[:2]
    assert (width.at, width.beyond, width.medians) == ("100.00%", True, "100 \u2192 348"), (
        "it does not stretch the axis"
    )
    assert (contrast.at, contrast.beyond, contrast.text) == ("25.00%", False, "\u22120.5")
    assert plot.missing == (("object share", "fewer than three images"),)


def test_features_distances_shortcuts_attacks_and_claims_are_told(show):
    html = show(FULL)
    assert "own features test and store can mostly be told apart: AUC 0.97" in html
    assert "1 of 2 errors lies farther from every training image of its class" in html
    assert '<rect class="marked" x="9" y="0" width="3" height="3"/>' in html
    assert f"PGD: 95.0{N}% right at strength 0; half of that is lost by 1/255" in html
    assert "FGSM: more than half of the right answers hold" in html
    assert 'points="0.0,11.0 110.0,110.0 220.0,198.0"' in html
    assert "badge-refuted" in html


def test_the_data_checks_show_their_worksheets(show):
    html = show(FULL)
    assert "Worksheet: the first 1 of 60" in html
    assert "1 check found nothing" in html
    assert "<b>One object in two splits</b>, test in train: test has no group_id" in html


def test_what_was_not_done_is_named_with_its_reason(show):
    html = show(FULL)
    assert "<b>Check of the labels, train</b>: the model has no dense layer" in html
    assert "<b>Attacks</b>: it has no gradient" in html


def test_examples_stand_in_the_order_of_the_shares(show, folder):
    for name in ("before", "light", "scale", "jpeg", "field"):
        (folder / "diagnosis").mkdir(exist_ok=True)
        Image.fromarray(np.full((12, 12, 3), len(name) * 20, np.uint8)).save(folder / f"diagnosis/{name}.png")

    def example(factor: str, answer: str) -> Example:
        file = f"diagnosis/{factor}.png"
        return Example(factor, "test/1", "diagnosis/before.png", file, SCRIPT, answer, SCRIPT, "store")

    examples = [example(*e) for e in (("light", SCRIPT), ("jpeg", "Pear"), ("scale", "Pear"), ("field", "Pear"))]
    lost = dataclasses.replace(example("together", "Pear"), after="diagnosis/gone.png")
    strips = re.search(
        r'<div class="strips".*?\n</div>', show(dataclasses.replace(FULL, examples=(*examples, lost))), re.S
    )[0]
    heads = re.findall(r'<div class="strip-head"><b>(.*?)</b>', strips)
    assert heads == ["As in test", "Size of the object", "Light", "JPEG compression", "All at once", "A photo of store"]
    assert f"<span>\u22123.0{N}points, not counted</span>" in strips
    assert re.findall(r'figcaption class="(\w+)-answer', strips) == [
        "right",
        "wrong",
        "right",
        "wrong",
        "wrong",
        "wrong",
    ]
    assert strips.count("<img") == 5
    assert strips.count("missing") == 1


def test_attacks_stand_beside_the_pertinent_negative_of_the_same_image(show, folder):
    (folder / "diagnosis").mkdir(exist_ok=True)
    Image.fromarray(np.full((12, 12, 3), 90, np.uint8)).save(folder / "diagnosis/one.png")
    ways = (
        Turn("PGD, L2", "diagnosis/one.png", "Pear", 12.5, 0.4321, 3 / 255),
        Turn("Pertinent negative (cem)", "diagnosis/gone.png", SCRIPT, 1274.6, 1.5, 0.25),
        TurnNotFound("PGD, Linf", NotRun("no change of the strengths tried turned the answer", "not_computed")),
    )
    html = show(dataclasses.replace(FULL, turned=(Turned("test/1", SCRIPT, SCRIPT, "diagnosis/one.png", ways),)))
    row = re.search(r'<div class="turned".*?\n</div>', html, re.S)[0]
    assert re.findall(r"<figure><b>(.*?)</b>", row) == ["As it is", *(way.by for way in ways)]
    assert re.findall(r'<span class="(\w+)-answer">', row) == ["right", "wrong", "right"]
    assert re.findall(r'class="norms">(.*?)</span>', row) == [
        f"L1{N}12.5, L2{N}0.432, Linf{N}3.0/255", f"L1{N}1,275, L2{N}1.5, Linf{N}63.8/255"]  # fmt: skip
    assert (row.count("<img"), row.count("missing"), row.count("none found")) == (2, 1, 1)
    assert "No change of the strengths tried turned the answer." in row


def test_without_cem_the_report_says_what_to_add(show):
    reason = NotRun("no explained image has a pertinent negative; add cem to methods", "not_computed")
    html = show(dataclasses.replace(FULL, not_run=(ExperimentNotRun("pertinent_negatives", reason),)))
    assert "<b>Pertinent negatives</b>: no explained image has a pertinent negative; add cem to methods" in html
    assert 'class="turned"' not in html


def test_what_a_user_wrote_is_escaped(show):
    html = show(FULL)
    assert SCRIPT not in html
    assert html.count("&lt;script&gt;window.hacked=1") >= 10


def test_without_experiments_the_section_says_why(show):
    html = show(NotRun(f"the config of {SCRIPT} says diagnosis: off", "not_computed"))
    assert "This report does not say why the model fails: the config of &lt;script&gt;" in html
    assert SCRIPT not in html
    assert "<svg" not in html


def test_without_a_gap_the_reason_comes_first(show):
    html = show(
        dataclasses.replace(
            EMPTY,
            not_run=(ExperimentNotRun("decomposition", NotRun("there is no gap to divide", "not_computed"), "store"),),
        )
    )
    assert '<p class="lead">There is no gap to divide.</p>' in html
    assert "<b>Division of the loss among causes, store</b>" in html


def test_an_empty_diagnosis_renders(show):
    html = show(EMPTY)
    assert "No loss from lab to field was divided among causes." in html
    assert "<h3>" not in html


@pytest.mark.parametrize(("value", "said"), [(0.384, "38.4"), (-0.0001, "0.0"), (0.0, "0.0"), (-0.05, "\u22125.0")])
def test_points_are_tenths_without_a_negative_zero(value, said):
    assert tenths(value) == said
    assert points(value) == f"{said}{N}points"


def test_an_interval_that_is_not_defined_is_not_printed():
    assert between(Estimate(0.5, 10)) == ""


@pytest.mark.parametrize(
    ("epsilon", "norm", "said"),
    [(4 / 255, "Linf", "4/255"), (0.0, "Linf", "0"), (0.5, "L2", "0.5"), (0.03, "Linf", "0.03")],
)
def test_the_strength_of_an_attack_is_told_in_steps_of_a_pixel(epsilon, norm, said):
    assert strength(epsilon, norm) == said


OVERLAPS = """[...document.querySelectorAll('.bars-chart g')].filter((g) => {
  const [name, said] = ['.name', '.said'].map((part) => g.querySelector(part).getBoundingClientRect());
  return name.right > said.left;
}).length"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 420, 1400])
def test_it_fits_a_phone_and_words_do_not_overlap(open_report, width):
    page = open_report(width)
    page.evaluate("document.querySelectorAll('#diagnosis details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".bars-chart g").count() > 10
    assert page.evaluate(OVERLAPS) == 0
    assert page.complaints == []
    assert page.evaluate("window.hacked") is None
