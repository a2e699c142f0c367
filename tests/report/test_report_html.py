import dataclasses
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from fruitaudit.attribution.base import rounding_error
from fruitaudit.errors import AuditError
from fruitaudit.records.explanations import Maps, Segments
from fruitaudit.records.packing import pack
from fruitaudit.records.states import NotRun
from fruitaudit.report import panels
from fruitaudit.report.artefacts import load_results, load_run, save_results
from fruitaudit.report.diagram import MOST_BLOCKS, diagram
from fruitaudit.report.folder import Folder, open_folder
from fruitaudit.report.html import render_html
from fruitaudit.report.table import prediction_table
from fruitaudit.runtime.files import write_arrays

SCRIPT = "<script>window.hacked=1</script>"


class Page(HTMLParser):
    """The text of each section, all tags with their attributes, and the ids."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self.inside: list[str] = [""]
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.inside.append(dict(attrs)["id"])

    def handle_endtag(self, tag):
        if tag == "section":
            self.inside.pop()

    def handle_data(self, data):
        name = self.inside[-1]
        self.texts[name] = self.texts.get(name, "") + " " + " ".join(data.replace("\u00a0", " ").split())

    def text(self, section: str) -> str:
        return " ".join(self.texts[section].split())


@pytest.fixture
def html(folder) -> str:
    return render_html(open_folder(folder))


@pytest.fixture
def page(html) -> Page:
    return Page(html)


def test_sections_stand_in_the_order_of_the_data_flow(page):
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == [
        "summary", "model", "data", "evaluation", "predictions", "explanations", "diagnosis", "findings", "gates",
        "provenance", "glossary"]  # fmt: skip
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    ids = {"#" + attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert links <= ids


def test_the_summary_answers_with_numbers_and_a_remedy(page):
    text = page.text("summary")
    assert "Do not deploy as it is Gates Fail: 1 of 3 gates failed: accuracy[store] >= 0.9." in text
    assert "On store the model gives the right answer for 25.0 % (3 of 12; 95 % interval 15.0–35.0 %)." in text
    assert "On test it reaches 100.0 % (9 of 9; 95 % interval 90.0–100.0 %)." in text
    assert "Always answering the most frequent class would reach 33.3 %." in text
    assert "Remedy. Collect <b>images</b>." in text


def test_nothing_is_loaded_and_little_is_allowed(html, page):
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag, attrs in page.tags:
        assert tag not in ("link", "iframe", "object", "base", "form")
        for name in ("src", "href", "action"):
            assert attrs.get(name, "#").startswith(("#", "data:image/")), (tag, attrs)
    assert "http://" not in html
    assert "https://" not in html


def test_user_text_is_text_everywhere(html, page):
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 1
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert not [attrs for tag, attrs in page.tags if tag == "img" and not attrs.get("src", "").startswith("data:")]
    assert "{{7*7}}" in html.replace("&#39;", "'")
    assert "49}}" not in html
    for section in ("summary", "model", "data", "evaluation", "predictions", "explanations", "findings"):
        assert SCRIPT in page.text(section), section


def test_what_was_not_computed_says_so(page):
    evaluation = page.text("evaluation")
    assert "AUC, macro on store: class two has no images" in evaluation
    assert "not computed" in evaluation
    assert "NaN" not in evaluation
    gates = page.text("gates")
    assert "Not computed" in gates
    assert "20 images." in gates
    assert "not_run" not in gates


def test_bad_files_and_conversions_are_named(page):
    text = page.text("data")
    assert "1 file of store could not be used" in text
    assert "not an image" in text
    assert "grey repeated to RGB (2 files)" in text
    assert "missing" in text


def test_panels_show_maps_and_say_where_there_is_none(page):
    text = page.text("explanations")
    for sentence in ("the map is zero everywhere", "the method returned values that are not finite",
                     "every map of this group is empty", "attributions/missed/gone.npz is missing from the folder",
                     "Grad-CAM++", "no layer has a spatial activation", "What does saliency ask?", "Its sign is wrong.",
                     "It does not prove", "9 images fit. 3 of 9 drawn.", "No image fits this group.",
                     "kernel automatic", "weights of 2 of 3 superpixels", "+0.5", "−0.25"):  # fmt: skip
        assert sentence in text, sentence


def test_completeness_errors_are_coloured_by_size(html):
    diagnostics = re.findall(r'class="diagnostic (\w*)">completeness error ([\d.]+)', html)
    assert sorted(diagnostics, key=lambda pair: float(pair[1])) == [("", "1.0"), ("amber", "7.0"), ("red", "40.0")]
    assert "completeness error: median 7.0" in html


def test_a_method_that_did_not_run_carries_its_code(folder):
    results = open_folder(folder).results
    codes = [row.reason.code for row in results.explanations if row.state == "not_run"]
    html = render_html(open_folder(folder))
    assert codes
    assert all(f'<li data-code="{code}">' in html for code in codes)


def test_there_are_as_many_pictures_as_evidence(page):
    """3 images: saliency and gradients have one empty map each; lime has three views; blank and gone have none."""
    layers = [attrs for tag, attrs in page.tags if tag == "img" and attrs.get("class") == "layer"]
    assert len(layers) == 2 + 2 + 3 * 3
    originals = [attrs for _, attrs in page.tags if attrs.get("aria-label", "").startswith("Photograph of ")]
    assert len(originals) == 2


def test_one_scale_is_printed_for_the_group(folder, html):
    row = load_results(folder).explanations[1]
    bar = re.search(r"<code>integrated_gradients</code>.*?bar-ticks\">(.*?)</div>", html, re.S)
    printed = re.findall(r">(−?[\d.]+)</span>", bar[1])
    assert printed == [f"−{row.scale:.3g}", "0", f"{row.scale:.3g}"]


def test_every_picture_and_table_is_accessible(page):
    assert all("alt" in attrs for tag, attrs in page.tags if tag == "img")
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 2 for a, b in pairwise(levels))


def test_the_table_of_predictions_keeps_to_its_budget(folder):
    results = load_results(folder)
    frame = open_folder(folder).predictions
    whole = prediction_table(frame, results)
    assert (whole.total, len(whole.rows), whole.shown_field, whole.n_errors) == (21, 12, 12, 9)
    few = prediction_table(frame, dataclasses.replace(results, table_rows=4))
    assert len(few.rows) == 4
    explained = set(results.groups[0].sample_ids)
    assert explained <= {row.sample_id for row in few.rows}
    assert (few.shown_errors, few.n_errors) == (4, 9)
    assert prediction_table(frame, dataclasses.replace(results, table_rows=0)).rows == ()


def test_predictions_are_marked_as_in_the_chapter(folder):
    table = prediction_table(open_folder(folder).predictions, load_results(folder))
    marks = {row.sample_id: row.mark for row in table.rows}
    assert sorted(marks.values()) == [""] * 6 + ["chosen-fn"] * 3 + ["hit"] * 3
    row = table.rows[0]
    assert (row.cells[row.at], row.correct) == (80, True)
    totals = np.array([[cell or 0 for cell in row.cells] for row in table.rows]).sum(axis=0)
    assert (np.diff(totals) <= 0).all()


def test_field_rows_come_first(folder):
    results = load_results(folder)
    ids = (f"test/{SCRIPT}/000.png",)
    control = dataclasses.replace(results.groups[0], name="control", split="test", sample_ids=ids)
    table = prediction_table(open_folder(folder).predictions, dataclasses.replace(results, groups=(control,)))
    assert [row.split for row in table.rows] == ["store"] * 12 + ["test"]


def test_many_classes_share_a_rest_column(folder):
    frame = open_folder(folder).predictions
    for i in range(40):
        frame[f"p:extra{i}"] = np.float32(0)
    table = prediction_table(frame, load_results(folder))
    assert len(table.classes) == 24
    assert table.has_rest
    assert {len(row.cells) for row in table.rows} == {25}


def test_a_folder_cannot_make_the_report_read_other_files(folder):
    results = json.loads((folder / "results.json").read_text())
    results["pictures"][0]["seen"] = "../../secret.png"
    (folder / "results.json").write_text(json.dumps(results))
    with pytest.raises(AuditError, match="outside the folder"):
        render_html(open_folder(folder))


def test_damaged_maps_cost_only_themselves(folder):
    (folder / "attributions/missed/saliency.npz").write_bytes(b"torn")
    one = {"sample_ids": np.array(["a"]), **pack(Maps(np.zeros((1, 4, 4), np.float32)))}
    write_arrays(folder / "attributions/missed/blank.npz", one)
    write_arrays(folder / "attributions/missed/integrated_gradients.npz", {"maps": np.zeros((3, 4, 4), np.float32)})
    whole = open_folder(folder)
    torn = "attributions/missed/saliency.npz is damaged or was written by another version of fruitaudit"
    assert whole.explanation(whole.results.explanations[0]) == NotRun(torn, "unreadable")
    html = render_html(whole)
    assert "saliency.npz is damaged" in html
    assert "gradients.npz is damaged" in html
    assert "does not hold what results.json says of its 3 images" in html


N, MAPS = 3, np.zeros((3, 4, 4), np.float32)
ODD_MAPS = {
    "flat": Maps(np.zeros((N, 4), np.float32)),
    "one more": Maps(np.zeros((N + 1, 4, 4), np.float32)),
    "whole numbers": Maps(np.zeros((N, 4, 4), np.int64)),
    "text": Maps(np.full((N, 4, 4), "x")),
    "a part of another size": Maps(MAPS, parts={"a": np.zeros((N, 5, 4), np.float32)}),
    "a class too many": Maps(MAPS, parts={"a": MAPS}, classes={"a": 9}),
    "no array": Maps(3),
    "no coefficient": Segments(np.full((N, 4, 4), 7, np.int32), np.zeros((N, 3), np.float32)),
    "below zero": Segments(np.full((N, 4, 4), -1, np.int32), np.zeros((N, 3), np.float32)),
    "no numbers": Segments(MAPS, np.zeros((N, 3), np.float32)),
}


@pytest.mark.parametrize("case", ODD_MAPS)
def test_maps_of_another_shape_or_kind_cost_only_themselves(folder, case):
    explanation = ODD_MAPS[case]
    kind = "maps" if isinstance(explanation, Maps) else "segments"
    row = next(e for e in open_folder(folder).results.explanations if getattr(e, "kind", "") == kind)
    write_arrays(folder / row.file, {"sample_ids": np.array(["a"] * N), **pack(explanation)})
    whole = open_folder(folder)
    assert whole.explanation(row) == NotRun(
        f"{row.file} is damaged or was written by another version of fruitaudit", "unreadable"
    )


def test_deep_models_are_drawn_in_stages(folder):
    model = load_results(folder).model
    layers = tuple(
        dataclasses.replace(model.layers[0], name=f"conv{i}", kind=("Conv2D", "ReLU", "Add")[i % 3],
                            output_shape=(2 ** (6 - i // 25), 2 ** (6 - i // 25), 8 + i))
        for i in range(160)
    )  # fmt: skip
    chart = diagram(dataclasses.replace(model, layers=layers))
    assert len(chart.blocks) == 8
    assert chart.blocks[1].detail == "25 layers"
    assert chart.blocks[1].height > chart.blocks[-1].height
    assert len(diagram(dataclasses.replace(model, layers=layers * 5)).blocks) <= MOST_BLOCKS + 1


def test_unknown_axes_are_drawn_as_such(folder):
    model = load_results(folder).model
    layers = (dataclasses.replace(model.layers[0], output_shape=(None, None, 8)),)
    assert diagram(dataclasses.replace(model, layers=layers)).blocks[1].shape == "?×?×8"


def test_size_grows_slowly_with_explained_images(folder):
    """64 images by 8 methods of 100 x 100 pixel noise, half of them signed, with photographs: under 6 MB."""
    from PIL import Image

    results, run = load_results(folder), load_run(folder)
    rng = np.random.default_rng(0)
    ids = tuple(f"store/{i}" for i in range(64))
    fine = rng.laplace(size=(64, 100, 100)).astype(np.float32)
    photo = Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8)).resize((400, 400), Image.Resampling.BICUBIC)
    photo.save(folder / "pictures/photo.jpg")
    photo.resize((100, 100)).save(folder / "pictures/small.png")
    rows = []
    for i in range(8):
        signed, file = i % 2 == 0, f"attributions/missed/m{i}.npz"
        write_arrays(folder / file, {"sample_ids": np.array(ids), **pack(Maps(fine if signed else abs(fine)))})
        row = dataclasses.replace(results.explanations[1], method=f"m{i}", sample_ids=ids, signed=signed, file=file)
        rows.append(dataclasses.replace(row, scale=float(abs(fine).max()), diagnostics={}, empty=()))
    picture = dataclasses.replace(results.pictures[0], original="pictures/photo.jpg", seen="pictures/small.png")
    results = dataclasses.replace(
        results,
        groups=(dataclasses.replace(results.groups[0], sample_ids=ids),),
        pictures=tuple(dataclasses.replace(picture, sample_id=i) for i in ids),
        explanations=tuple(rows),
    )
    save_results(folder, results)
    size = len(render_html(Folder(folder, results, run)))
    assert size < 6_000_000, size


@pytest.mark.parametrize(("value", "told"), [(0.0, "0.0 %"), (2e-7, "<0.1 %"), (0.0009, "<0.1 %"), (0.012, "1.2 %")])
def test_rounding_errors_are_told_as_less_than_a_thousandth(value, told):
    assert panels._value(rounding_error("additivity_error", ""), value).replace("\u00a0", " ") == told
