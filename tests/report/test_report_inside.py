"""Explanations that are no maps: drawn where there is something, said where there is not."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from fruitaudit.records.evidence import (
    Counterfactual,
    Counterfactuals,
    FeatureLayer,
    FeatureMaps,
    FilterBank,
    LayerFilters,
    Neighbours,
    Synthetic,
    Unit,
)
from fruitaudit.records.explanations import KINDS, OF_THE_MODEL, ExplanationNotRun, Maps
from fruitaudit.records.packing import pack
from fruitaudit.records.states import NotRun
from fruitaudit.report.artefacts import load_results, load_run, save_results
from fruitaudit.report.figures import pixels_of
from fruitaudit.report.folder import open_folder
from fruitaudit.report.html import render_html
from fruitaudit.report.panels import group_panels
from fruitaudit.report.render import render
from fruitaudit.runtime.files import write_arrays

SIDE = 12
LOW, HIGH = np.zeros(3, np.float32), np.ones(3, np.float32)
PICTURES = np.random.default_rng(1).random((3, SIDE, SIDE, 3), np.float32)


@pytest.fixture
def show(folder):
    """Replace all explanations of the folder by these (name, group, explanation)."""

    def show(*explanations):
        results = load_results(folder)
        template = results.explanations[1]
        rows = []
        for name, group, explanation in explanations:
            ids = () if group == OF_THE_MODEL else template.sample_ids
            file = f"attributions/{group}/{name}.npz"
            write_arrays(folder / file, {"sample_ids": np.array(ids, str), **pack(explanation)})
            record = {
                "group": group,
                "method": name,
                "title": name.upper(),
                "caveat": "",
                "diagnostics": {},
                "empty": (),
            }
            scale = 1.0 if isinstance(explanation, Maps) else 0.0
            kind = KINDS[type(explanation)]
            targets = template.target_classes[: len(ids)]
            rows.append(
                dataclasses.replace(
                    template, file=file, kind=kind, sample_ids=ids, target_classes=targets, scale=scale, **record
                )
            )
        results = dataclasses.replace(results, explanations=tuple(rows))
        save_results(folder, results)
        return open_folder(folder)

    return show


def counterfactuals(found: bool = True) -> Counterfactuals:
    change = np.zeros_like(PICTURES)
    change[:, 2:4, 2:4] = 0.5
    nothing = np.full_like(PICTURES, np.nan)
    mask = np.array([found, False, found])
    keep = mask[:, None, None, None]
    negative = Counterfactual(
        "PN", mask, np.where(keep, PICTURES, nothing), np.where(keep, change, nothing), np.where(mask, 1, -1),
        np.where(mask, 0.6, np.nan).astype(np.float32), ("", "", ""), np.array([0.25, np.nan, np.nan], np.float32),
    )  # fmt: skip
    positive = dataclasses.replace(negative, mode="PP", vacuous=("it is the no-information image", "", ""))
    return Counterfactuals((negative, positive), LOW, HIGH, PICTURES)


def section(folder) -> str:
    """The HTML of the section, "" where there is none."""
    found = re.search(r'<section id="inside".*?</section>', render_html(folder), re.S)
    return found[0] if found else ""


def test_filters_and_made_up_images_are_about_the_model(show):
    bank = FilterBank("conv", np.random.default_rng(0).normal(size=(2, 2, 3, 4)).astype(np.float32), (2, 2, 3, 16))
    units = (Unit("conv", 3, "filter 3"), Unit("", 2, "class 2"))
    two = PICTURES[:2]
    synthetic = Synthetic(units, two, LOW, HIGH, np.array([9.5, 30.0], np.float32), np.array([7.25, 20.0], np.float32),
                     ("lab/a", "lab/b"), two)  # fmt: skip
    inside = section(show(("filters", OF_THE_MODEL, LayerFilters((bank,))), ("amax", OF_THE_MODEL, synthetic)))
    assert "16 filters of 2 × 2 over 3 inputs; 4 shown, 3 inputs each" in inside
    assert "9.5, photograph 7.25" in inside
    # The filters, a made-up image alone, and that of a class neuron beside its strongest photograph.
    assert inside.count("<img") == 1 + 1 + 2


def test_feature_maps_are_drawn_for_the_first_image_of_a_group(show):
    values = np.random.default_rng(0).normal(size=(3, 100, 100, 2)).astype(np.float32)
    after = np.maximum(values, 0)
    maps = FeatureMaps(
        (
            FeatureLayer("c1", "before relu", np.arange(2), 16, values),
            FeatureLayer("c1", "after relu", np.arange(2), 16, after),
            FeatureLayer("dead", "after relu", np.arange(2), 16, np.zeros_like(after)),
        )
    )
    folder = show(("activations", "missed", maps))
    inside = section(folder)
    assert inside.count('class="mosaic"') == 3
    assert inside.count("<img") == 2
    assert "2 of 16 channels of 100 × 100" in inside
    assert re.findall(r'class="bar (\w+)"', inside) == ["signed", "plain"]
    assert group_panels(folder)[0].methods == ()


def test_counterfactuals_say_what_the_model_answers_and_where_none_was_found(show):
    folder = show(("cem", "missed", counterfactuals()))
    panel, _ = group_panels(folder)
    first, second, _ = (image.tiles[0].views for image in panel.images)
    assert [view.caption for view in first] == ["pertinent negative", "what was added", "pertinent positive"]
    assert first[0].lines[0].endswith("60.0\u00a0%")
    assert "25.0\u00a0% of the change lies on the object" in first[0].lines
    assert "says nothing: it is the no-information image" in first[2].lines
    assert [view.src for view in second] == [None, None]
    assert "none found: no change that was tried turned the answer" in second[0].reason
    assert section(folder).count('class="made-pair"') == 3


def test_no_counterfactual_at_all_is_no_evidence(show):
    panel, _ = group_panels(show(("cem", "missed", counterfactuals(found=False))))
    assert panel.methods[0].scale is None
    assert all(view.src is None for image in panel.images for view in image.tiles[0].views)


def test_parts_of_a_map_share_its_scale(show):
    ones = np.ones((3, SIDE, SIDE), np.float32)
    panel, _ = group_panels(
        show(("shap", "missed", Maps(ones, parts={"class 2": -0.5 * ones, "sum": 0 * ones}, classes={"class 2": 2})))
    )
    views = panel.images[0].tiles[0].views
    assert [view.caption for view in views] == ["the explained class", "Pear|*_\x1b[31m", "sum"]
    assert [view.peak for view in views] == ["1 of 1", "\u22120.5 of 1", ""]
    assert views[2].reason == "the map is zero everywhere"


def test_one_method_asked_twice_is_told_apart_by_its_options(show):
    ones = np.ones((3, SIDE, SIDE), np.float32)
    folder = show(("occlusion", "missed", Maps(ones)), ("occlusion", "missed", Maps(ones)))
    rows = folder.results.explanations
    other = dataclasses.replace(rows[1], options=rows[1].options | {"steps": 50})
    results = dataclasses.replace(folder.results, explanations=(rows[0], other))
    panel, _ = group_panels(dataclasses.replace(folder, results=results))
    assert [tile.title for tile in panel.images[0].tiles] == ["OCCLUSION, steps 25", "OCCLUSION, steps 50"]


def test_neighbours_are_named_with_their_distance(show):
    values = np.stack([PICTURES, PICTURES[::-1]], axis=1)
    boxes = np.full((3, 2, 2, 4), -1)
    boxes[0] = (1, 2, 6, 8)
    distances, unusual = np.array([[0.5, 1.25]] * 3, np.float32), np.full(3, 0.99, np.float32)
    ids = (("lab/1", "lab/2"),) * 3
    near = Neighbours(values, np.array([[0, 2]] * 3), distances, unusual, ids, boxes, LOW, HIGH)
    panel, _ = group_panels(show(("nearest", "missed", near)))
    boxed, plain = (image.tiles[0].views for image in panel.images[:2])
    assert boxed[0].caption == "the patch that matches best"
    assert plain[1].caption == "Pear|*_\x1b[31m"
    assert plain[1].lines == ("distance 1.25",)


def test_what_did_not_run_on_the_model_says_so(folder):
    results = load_results(folder)
    reason = ExplanationNotRun(
        OF_THE_MODEL, "filters", "Filters", NotRun("the model has no convolution", "not_computed")
    )
    save_results(folder, dataclasses.replace(results, explanations=(reason,)))
    assert "the model has no convolution" in section(open_folder(folder))


def test_without_such_methods_there_is_no_section(folder):
    assert section(open_folder(folder)) == ""


def test_colours_of_blue_first_models_are_put_right():
    values = np.array([[[0.0, 0.5, 1.0]]], np.float32)
    assert pixels_of(values, LOW, HIGH).tolist() == [[[0, 128, 255]]]
    assert pixels_of(values, LOW, HIGH, bgr=True).tolist() == [[[255, 128, 0]]]


def test_a_full_folder_renders(show, folder):
    show(("cem", "missed", counterfactuals()))
    assert load_run(folder)
    render(folder)
    assert (folder / "report.html").exists()
