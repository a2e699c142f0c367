"""What each change looks like: the same lab images down the page, one change beside the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.records.diagnosis import Decomposition, Diagnosis, Example
from fruitaudit.report.folder import Folder
from fruitaudit.report.points import points
from fruitaudit.report.waterfall import in_order
from fruitaudit.report.words import percent

SIDE = 160
WORTH = 0.02
"""A change that does not count is shown where it costs as much."""
TOGETHER, FIELD = "together", "field"


@dataclass(frozen=True)
class ExampleCell:
    """One picture, None where the file is missing; `answer` is right where it is the true class."""

    src: str | None
    sample_id: str
    true_class: str
    answer: str

    @property
    def right(self) -> bool:
        return self.answer == self.true_class


@dataclass(frozen=True)
class ExampleStrip:
    """One change on all example images; None where an image has no such picture."""

    title: str
    says: str
    cells: tuple[ExampleCell | None, ...]


def example_strips(folder: Folder, diagnosis: Diagnosis, gap: Decomposition) -> list[ExampleStrip]:
    """As photographed, under each change that counts or costs much, under all, and what the field shows instead."""
    rows = [e for e in diagnosis.examples if e.field_split == gap.field_split]
    by_factor = {factor: [e for e in rows if e.factor == factor] for factor in dict.fromkeys(e.factor for e in rows)}
    ids = list(dict.fromkeys(e.sample_id for e in rows))
    candidates = [(s.factor, s.title, f"{points(-s.points.value, signed=True)}{'' if s.counts else ', not counted'}")
              for s in in_order(gap) if s.counts or abs(s.points.value) >= WORTH]  # fmt: skip
    candidates += [(TOGETHER, "All at once", f"{percent(gap.transformed.value)} right"),
               (FIELD, f"A photo of {gap.field_split}", f"{percent(gap.field.value)} right")]  # fmt: skip
    strips = [ExampleStrip(title, says, _cells(folder, ids, by_factor[factor])) for factor, title, says in candidates
             if factor in by_factor]  # fmt: skip
    if not strips:
        return []
    before = tuple(_cell(folder, e.before, e, e.answer_before) for e in _first(ids, rows))
    return [ExampleStrip(f"As in {gap.lab_split}", f"{percent(gap.lab.value)} right", before), *strips]


def _first(ids: Sequence[str], rows: Sequence[Example]) -> list[Example]:
    return [next(e for e in rows if e.sample_id == i) for i in ids]


def _cells(folder: Folder, ids: Sequence[str], rows: Sequence[Example]) -> tuple[ExampleCell | None, ...]:
    of = {e.sample_id: e for e in rows}
    return tuple(_cell(folder, of[i].after, of[i], of[i].answer_after) if i in of else None for i in ids)


def _cell(folder: Folder, file: str, example: Example, answer: str) -> ExampleCell:
    return ExampleCell(folder.photograph(file, SIDE), example.sample_id, example.true_class, answer)
