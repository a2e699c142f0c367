"""Which class a label means."""

from __future__ import annotations

import unicodedata

import pytest

from fruitaudit.data.labels import ClassList, folded


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("granny_smith", "Granny Smith"),
        ("GRANNY-SMITH ", "Granny Smith"),
        ("grannysmith", "Granny Smith"),
        (unicodedata.normalize("NFD", "Pêche"), "Pêche"),
        (unicodedata.normalize("NFD", "pêche"), "Pêche"),
        ("class 1", "Class_1"),
        ("STRASSE", "Straße"),
    ],
)
def test_spellings_that_are_understood(label: str, name: str) -> None:
    assignment = ClassList(("other", name)).assign([label])
    assert assignment.classes == {label: 1}
    assert assignment.notes == (f"labels spelt otherwise were understood: {label!r} as {name!r}",)


@pytest.mark.parametrize(("one", "other"), [("A", "A-"), ("1", "-1"), ("1 0", "10"), ("C", "C++"), ("1_0", "10")])
def test_signs_that_carry_meaning_stay(one: str, other: str) -> None:
    assert folded(one) != folded(other)
    assert ClassList((one, "x")).assign([other]).unknown == (other,)


def test_what_fits_two_classes_fits_none() -> None:
    assert ClassList(("Ash", "ash")).assign(["ASH", "ash"]).classes == {"ash": 1}


def test_whole_numbers_count_outputs_beside_names() -> None:
    assignment = ClassList(("ash", "birch", "cedar")).assign(["2", "0"])
    assert assignment.classes == {"0": 0, "2": 2}
    assert assignment.notes == (
        "whole numbers among the labels were taken as numbers of the model's outputs, such as 0 for 'ash'",
    )
    assert ClassList(("ash", "birch")).assign(["2", "1"]).unknown == ("2",)
    assert ClassList(("ash", "birch")).assign(["1", "pine"]).unknown == ("1", "pine")


def test_whole_numbers_are_names_where_a_class_is_a_number() -> None:
    assert ClassList(("10", "20")).assign(["10", "1"]).classes == {"10": 0}
    assert ClassList(("0", "1", "10")).assign(["10.0", "01"]).classes == {"10.0": 2, "01": 1}


def test_other_names_lead_to_their_output() -> None:
    classes = ClassList(("tench", "crane (1)"), {"n01440764": 0, "n02012849": 1})
    assert classes.assign(["N02012849", "n01440764", "Tench"]).classes == {"N02012849": 1, "n01440764": 0, "Tench": 0}


def test_a_label_of_two_classes_of_one_name_says_how_to_name_them() -> None:
    sentence = ClassList(("crane (0)", "ash", "crane (2)")).why_unknown({"crane": 3})
    assert sentence.startswith("'crane' (3 images, nearest class 'crane (0)' or 'crane (2)') is none of the model's 3 ")
