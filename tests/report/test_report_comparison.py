import dataclasses
import re

import pytest
from markupsafe import escape

from fruitaudit.records.explanations import ExplanationRow, Group
from fruitaudit.records.results import Timing
from fruitaudit.report.artefacts import load_results, load_run, save_results
from fruitaudit.report.comparison import advice_of, anchor_of, first_panels, lead_of, partners_of, question_of
from fruitaudit.report.folder import open_folder
from fruitaudit.report.html import render_html
from fruitaudit.report.sheet import contact_sheet, contrasts
from fruitaudit.report.words import cost, number


def group(name: str, kind: str, class_name: str, ids=("a", "b"), control_of=None, split="store") -> Group:
    return Group(name, f"title of {name}", split, kind, class_name, "rule", "all", len(ids), ids, control_of)


GROUPS = (
    group("missed", "false_negative", "Pear"),
    group("missed_control", "true_positive", "Pear", ("c",), "missed", "test"),
    group("mixed", "confused", "Pear", ("b", "d")),
    group("taken", "false_positive", "Apple"),
    group("empty", "true_positive", "Apple", ()),
)


def test_errors_and_right_answers_of_a_class_lead_to_each_other():
    titles = {g.name: [p.title for p in partners_of(GROUPS, g)] for g in GROUPS}
    assert titles["missed"] == titles["mixed"] == ["title of missed_control"]
    assert titles["missed_control"] == ["title of missed", "title of mixed"]
    assert titles["taken"] == []  # its right answers hold no image
    assert partners_of(GROUPS, GROUPS[0])[0].anchor == anchor_of(GROUPS, GROUPS[1]) == "group-2"


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (0, "These store images show Pear, but the model called them something else."),
        (1, "These test images show Pear, and the model said so: right answers, as a control."),
        (2, "These store images show Pear, but the model called them Plum."),
        (3, "These store images show something else, but the model called them Apple."),
    ],
)
def test_a_lay_reader_is_told_what_the_images_are(index, says):
    assert lead_of(GROUPS[index], "Plum") == says
    assert advice_of(GROUPS[index]).endswith(("Right answers:", "Errors:"))


def test_an_image_in_several_groups_has_its_first_panel_as_its_place():
    assert first_panels(GROUPS) == {"a": "group-1-1", "b": "group-1-2", "c": "group-2-1", "d": "group-3-2"}


def test_every_picture_is_held_once(folder):
    html = render_html(open_folder(folder))
    uris = re.findall(r"--(?:seen|photo):url\(([^)]+)\)", html)
    assert len(uris) == 3 + 2  # three inputs; the second image has no photograph
    assert len(set(uris)) == len(uris)
    assert all(html.count(uri) == 1 for uri in uris)
    assert html.count("--photo:var(--seen)") == 1


def test_the_sheet_counts_all_images_of_a_class_not_those_drawn(folder):
    opened = open_folder(folder)
    sheet = contact_sheet(opened)
    ((name, (strip,)),) = sheet.rows
    row = next(c for c in opened.results.evaluations[1].classes if c.name == name)
    assert (strip.hits, strip.support) == (row.hits, row.support)
    assert [uri is None for uri, _ in strip.pictures] == [False, True]
    assert sheet.splits == (("store", "field"),)
    assert contrasts(opened) == []  # the lab has no thumbnails here


def test_a_resumed_run_says_why_it_made_few_passes(folder):
    run = load_run(folder)
    assert cost(run) == "12 s, 345 MB, 162 model passes (1 of 2 steps answered from the cache of an earlier run)"
    object.__setattr__(run, "timings", (Timing("predict", 1.0, 7),))
    assert cost(run) == "12 s, 345 MB, 7 model passes"


def test_tiny_figures_keep_a_digit():
    assert [number(v) for v in (2.3e-5, -4e-8, 0.0, 0.0006)] == ["2e\u221205", "\u22124e\u221208", "0.000", "0.001"]


def test_notes_of_a_split_are_shown(folder):
    import dataclasses

    opened = open_folder(folder)
    noted = dataclasses.replace(opened.results.splits[0], notes=("numbers up to 255 were read as 0-255",))
    results = dataclasses.replace(load_results(folder), splits=(noted, *opened.results.splits[1:]))
    html = render_html(dataclasses.replace(opened, results=results))
    assert "How test was read: Numbers up to 255 were read as 0-255." in html


def test_intervals_are_explained_by_how_they_were_made(folder):
    html = render_html(open_folder(folder))
    paragraph = re.search(r"How the intervals were made.*?</ul>", html, re.S)[0]
    assert re.search(r"<b>Wilson\.</b>[^<]*Accuracy", paragraph)
    assert re.search(r"<b>Stratified bootstrap\.</b> Log-loss\.", paragraph)


def test_a_contrast_and_the_true_class_are_asked_image_by_image(folder):
    results = load_results(folder)
    rows = [
        dataclasses.replace(row, target="contrast", against_classes=("class two",) * len(row.sample_ids))
        if isinstance(row, ExplanationRow) and row.method == "integrated_gradients"
        else row
        for row in results.explanations
    ]
    save_results(folder, dataclasses.replace(results, explanations=tuple(rows)))
    html = render_html(open_folder(folder))
    question = f"Why {escape(rows[0].target_classes[0])} rather than class two?"
    assert html.count(question) == len(rows[0].sample_ids)
    assert html.count("the difference of two logits: why this class rather than its rival") == 1
    assert "red: for the class, blue: for its rival" in html
    true = dataclasses.replace(rows[0], target="true")
    assert question_of([true], true.sample_ids[0]) == f"What speaks for {true.target_classes[0]}, the true class?"
    assert question_of([rows[0]], true.sample_ids[0]) == ""
