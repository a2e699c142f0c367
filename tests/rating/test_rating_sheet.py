"""The sheet: nothing on it tells a method, the order is the seed's, and what cannot be seen is not asked for."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from rating.conftest import EMPTY, ERRORS, RIGHT, SCRIPT, VERDICTS

from fruitaudit.errors import AuditError
from fruitaudit.rating.evidence import OTHER_PICTURE

DATA = re.compile(r"data:image/\w+;base64,[A-Za-z0-9+/=]+")


def test_nothing_on_the_page_names_a_method_a_control_a_sample_or_a_group(audit) -> None:
    page = DATA.sub("", audit.page()).lower()
    names = {word for panel in audit.sheet().panels for word in (panel.source.method, panel.source.title.lower())}
    assert len(names) == 2 * (len(VERDICTS) + 3)
    secrets = {"control", "superpixel", "sobel", "odd option", "secret", "missed", ".npz", ".png", "attributions"}
    assert not [word for word in names | set(VERDICTS) | secrets if word in page]


def test_right_answers_and_errors_look_the_same(audit) -> None:
    """What is left of a card without its pictures and ids differs only by its number."""
    cards = re.findall(r"<section class=\"card\".*?</section>", DATA.sub("", audit.page()), re.S)
    same = {re.sub(r"\b[0-9a-f]{16}\b|\d+", "", re.sub(r"<fieldset>.*</fieldset>", "", card, flags=re.S))
            for card in cards}  # fmt: skip
    assert len(same) == 1


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_order(audit) -> None:
    assert audit.page() == audit.page()
    ours, theirs = audit.sheet(9), audit.sheet(10)
    assert ours.code != theirs.code
    assert list(ours.samples) != list(theirs.samples)
    orders = {tuple(panel.source.method for panel in card.panels) for card in ours.cards[:10]}
    assert len(orders) > 5, "methods stand in another order on each card"
    assert not {panel.id for panel in ours.panels} & {panel.id for panel in theirs.panels}


def test_nothing_can_be_told_from_the_place_of_a_picture(audit) -> None:
    patterns = [tuple(audit.sheet(seed).samples.values()) for seed in range(6)]
    assert len(set(patterns)) > 3, "errors stand anywhere"


def test_errors_and_right_answers_in_equal_numbers_all_maps_and_hidden_repeats(audit) -> None:
    sheet = audit.sheet()
    assert Counter(sheet.samples.values()) == {True: 5, False: 5}
    assert {sample_id in ERRORS for sample_id, error in sheet.samples.items() if error} == {True}
    first, repeats = sheet.cards[:10], sheet.cards[10:]
    assert [card.sample_id for card in first] == [card.sample_id for card in repeats]
    for card, second in zip(first, repeats, strict=True):
        panels_of = {panel.source.method: panel for panel in card.panels}
        lime = set() if card.sample_id == EMPTY else {"lime"}
        assert set(panels_of) == {"saliency", "occlusion", *lime, "control_random", "control_edges", OTHER_PICTURE}
        assert len(second.panels) == 2
        for panel in second.panels:
            assert panel.repeat
            assert np.array_equal(panel.values, panels_of[panel.source.method].values)
    ids = [panel.id for panel in sheet.panels]
    assert len(set(ids)) == len(ids)
    assert len(re.findall(r'<input type="radio"', audit.page())) == 6 * len(ids)


def test_only_evidence_for_the_class_is_drawn_in_one_palette(audit) -> None:
    panels = audit.sheet().panels
    assert all(panel.values.min() >= 0 and not panel.scale.signed for panel in panels)
    stored = audit.folder.explanation(audit.folder.results.explanations[2]).values
    row = audit.folder.results.explanations[2]
    assert row.signed
    panel = next(p for p in panels if p.source.method == "occlusion" and p.sample_id in ERRORS)
    assert np.array_equal(panel.values, np.maximum(stored[row.sample_ids.index(panel.sample_id)], 0))


def test_the_map_of_another_picture_is_one_that_a_method_drew_elsewhere(audit) -> None:
    folder, sheet = audit.folder, audit.sheet()
    for card in sheet.cards[:10]:
        control = next(panel for panel in card.panels if panel.source.method == OTHER_PICTURE)
        matches = [
            sample_id
            for row in folder.results.explanations
            for sample_id, values in zip(row.sample_ids, folder.explanation(row).values, strict=True)
            if np.array_equal(np.maximum(values, 0), control.values)
        ]
        assert matches
        assert not set(matches) & set(sheet.samples), "nor is that picture on the sheet"


def test_a_map_without_anything_to_see_is_left_out_and_counted(audit) -> None:
    sheet = audit.sheet(pictures=16)
    assert {source.title: n for source, n in sheet.left_out.items()} == {"The lime title": 1}
    assert not [p for p in sheet.panels if p.sample_id == EMPTY and p.source.method == "lime"]


def test_names_are_escaped(audit) -> None:
    page = audit.page()
    assert SCRIPT not in page
    assert "whether this is &#34;&gt;&lt;img src=x onerror=window.hacked=1&gt;" in page


def test_a_contrast_asks_for_both_classes(audit) -> None:
    rows = tuple(
        replace(row, target="contrast", target_classes=("Pear",) * 8, against_classes=("Fig",) * 8)
        for row in audit.folder.results.explanations
    )
    audit.change(explanations=rows)
    page = audit.page()
    assert "where one should look to tell Pear from Fig?" in page
    assert "Pear rather than Fig?" in page


def test_one_method_with_two_settings_is_two_methods(audit) -> None:
    first = audit.folder.results.explanations[0]
    twin = replace(first, options={"odd option": 3})
    audit.change(explanations=(first, twin, first))
    titles = {panel.source.title for panel in audit.sheet().panels if not panel.source.control}
    assert titles == {"The saliency title, odd option 25", "The saliency title, odd option 3"}


def test_fewer_pictures_than_asked_and_pictures_that_are_gone(audit) -> None:
    (audit.path / "pictures/rated-3.png").unlink()
    (audit.path / "pictures/rated-8.png").write_bytes(b"no picture")
    sheet = audit.sheet(pictures=1000)
    assert set(sheet.samples) == {*ERRORS, *RIGHT} - {ERRORS[3], RIGHT[0]}


def test_without_maps_there_is_no_sheet(audit) -> None:
    audit.change(explanations=())
    with pytest.raises(AuditError, match="holds no map and picture to rate"):
        audit.sheet()


def test_without_files_of_maps_there_is_no_sheet(audit) -> None:
    for file in audit.path.glob("attributions/*/*.npz"):
        file.unlink()
    with pytest.raises(AuditError, match="holds no map and picture to rate"):
        audit.sheet()
