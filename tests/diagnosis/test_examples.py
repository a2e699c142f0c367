"""The pictures that show each change: chosen by rule, the same images for all changes, and what the model says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diagnosis.planted_cases import COLOURS, discs, split_pair
from PIL import Image

from fruitaudit.diagnosis.gap.examples import draw_examples, example_rows
from fruitaudit.diagnosis.gap.measuring import Factors, measure_factors
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.records.diagnosis import Decomposition, GapShare
from fruitaudit.records.states import Estimate

NAMES = ("red", "green", "yellow", "violet")
ONE = Estimate(0.5, 40, 0.4, 0.6)


class NearestColour:
    """Answers with the class whose colour is nearest to the middle of the picture."""

    def predicted(self, pixels: np.ndarray) -> np.ndarray:
        middle = pixels[:, 20:28, 20:28].mean(axis=(1, 2))
        return np.linalg.norm(middle[:, None] - COLOURS[None], axis=2).argmin(axis=1)


@pytest.fixture(scope="module")
def darker() -> tuple[SplitPair, Factors]:
    pair = split_pair((discs(seed=5)[0] * np.array([0.75, 0.55, 0.5])).astype(np.uint8))
    return pair, measure_factors(pair)


def gap(*factors: str) -> Decomposition:
    shares = tuple(GapShare(f, f, ONE, 0.5, 0.5, True, "") for f in factors)
    return Decomposition("test", "field", ONE, ONE, ONE, ONE, ONE, shares, ONE, (), "all subsets")


def test_right_answers_come_first_one_image_a_class(darker) -> None:
    pair, _ = darker
    lab = pair.lab.material
    wrong = np.where(np.arange(len(lab)) % 10 < 8, (lab.labels + 1) % 4, lab.labels)
    doubtful = replace(pair, lab=replace(pair.lab, material=replace(lab, predicted=wrong)))
    rows = example_rows(doubtful)
    assert sorted(lab.labels[rows]) == [0, 1, 2, 3]
    assert (wrong[rows] == lab.labels[rows]).all()
    assert (example_rows(doubtful) == rows).all()


def test_two_classes_still_give_four_images(darker) -> None:
    pair, _ = darker
    lab = pair.lab.material
    two = replace(pair, lab=replace(pair.lab, material=replace(lab, labels=lab.labels % 2)))
    rows = example_rows(two)
    assert len(set(rows)) == 4


def test_every_change_is_drawn_on_the_same_images_and_answered(darker, tmp_path: Path) -> None:
    pair, factors = darker
    examples = list(draw_examples(NearestColour(), pair, factors, gap("light"), NAMES, tmp_path))
    rows = example_rows(pair)
    assert [e.factor for e in examples] == ["light"] * 4 + ["field"] * 4, "one change alone is not drawn twice"
    assert [e.sample_id for e in examples[:4]] == [pair.lab.material.ids[i] for i in rows]
    for example, row in zip(examples[:4], rows, strict=True):
        before, after = (np.asarray(Image.open(tmp_path / f)) for f in (example.before, example.after))
        assert (before == pair.lab.material.pixels[row]).all()
        assert after.mean() < before.mean() - 20
        assert example.answer_before == example.true_class == NAMES[pair.lab.material.labels[row]]
        assert example.answer_after == NAMES[NearestColour().predicted(after[None])[0]]
    for example, row in zip(examples[4:], rows, strict=True):
        picture = np.asarray(Image.open(tmp_path / example.after))
        assert (picture == pair.field.material.pixels[pair.partner[row]]).all()


def test_several_changes_are_also_drawn_together(darker, tmp_path: Path) -> None:
    pair, factors = darker
    two_factors = replace(factors, changes=factors.changes | {"blur": replace(factors.changes["light"], factor="blur")})
    examples = list(draw_examples(NearestColour(), pair, two_factors, gap("light", "blur"), NAMES, tmp_path))
    assert list(dict.fromkeys(e.factor for e in examples)) == ["light", "blur", "together", "field"]
    once, twice = (np.asarray(Image.open(tmp_path / f"diagnosis/field/{n}-0-after.png")) for n in ("light", "together"))
    assert twice.mean() < once.mean() - 5


def test_the_field_is_shown_only_where_it_has_the_class(darker, tmp_path: Path) -> None:
    pair, factors = darker
    field = pair.field.material
    other = replace(pair, field=replace(pair.field, material=replace(field, labels=np.zeros_like(field.labels))))
    examples = [e for e in draw_examples(NearestColour(), other, factors, gap("light"), NAMES, tmp_path)
             if e.factor == "field"]  # fmt: skip
    assert [e.true_class for e in examples] == ["red"]
