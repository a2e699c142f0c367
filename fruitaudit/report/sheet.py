"""The contact sheet: the same classes side by side, split by split, with how many were recognised."""

from __future__ import annotations

from dataclasses import dataclass

from fruitaudit.records.evaluation import ClassRow
from fruitaudit.records.results import SheetRow
from fruitaudit.report.answer import by_importance, worst_classes
from fruitaudit.report.folder import Folder

SIDE = 88
BUDGET = 400
"""Thumbnails on the sheet; of more the classes with the lowest recall are shown."""
CONTRASTS = 6


@dataclass(frozen=True)
class SheetStrip:
    """Some images of one class of one split. `hits` of `support` were given the right class."""

    split: str
    role: str
    pictures: tuple[tuple[str | None, str], ...]
    """(data URI or None where the file is missing, sample id)."""
    hits: int
    support: int


@dataclass(frozen=True)
class ContactSheet:
    """One row per class, one strip per split; None where the class has no images there.

    `left_out` classes are not shown.
    """

    splits: tuple[tuple[str, str], ...]
    """(name, role)."""
    rows: tuple[tuple[str, tuple[SheetStrip | None, ...]], ...]
    left_out: int


def contact_sheet(folder: Folder) -> ContactSheet:
    """The sheet in the order of the results, or the worst classes of it within the budget."""
    by_place = {(row.class_name, row.split): row for row in folder.results.contact_sheet}
    roles = {e.split: str(e.role) for e in folder.results.evaluations}
    splits = tuple((s, roles[s]) for s in dict.fromkeys(split for _, split in by_place) if s in roles)
    names = list(dict.fromkeys(name for name, _ in by_place))
    largest = max(
        (sum(len(by_place[n, s].thumbnails) for s, _ in splits if (n, s) in by_place) for n in names), default=0
    )
    selected = {row.name for row in _worst(folder, max(1, BUDGET // max(1, largest)))} or set(names)
    rows = tuple(
        (name, tuple(_strip(folder, by_place.get((name, split)), role) for split, role in splits))
        for name in names
        if name in selected
    )
    return ContactSheet(splits, rows, len(names) - len(rows))


def contrasts(folder: Folder) -> list[tuple[str, SheetStrip, SheetStrip]]:
    """(class, lab, field) of the classes that do worst in the field: one picture each, for the first page."""
    evaluations = by_importance(folder.results.evaluations)
    field = next((e.split for e in evaluations if e.role == "field"), None)
    lab = folder.results.lab or next((e.split for e in evaluations if e.role != "field"), None)
    by_place = {(row.class_name, row.split): row for row in folder.results.contact_sheet if row.thumbnails}
    pairs = []
    if lab is None or field is None:
        return []
    for row in _worst(folder, CONTRASTS):
        lab_row, field_row = (by_place.get((row.name, split)) for split in (lab, field))
        lab_strip, field_strip = _strip(folder, lab_row, "lab", 1), _strip(folder, field_row, "field", 1)
        if lab_strip and field_strip and lab_strip.pictures[0][0] and field_strip.pictures[0][0]:
            pairs.append((row.name, lab_strip, field_strip))
    return pairs


def _worst(folder: Folder, limit: int) -> list[ClassRow]:
    ranked = by_importance(folder.results.evaluations)
    return worst_classes(ranked[0], limit) if ranked else []


def _strip(folder: Folder, row: SheetRow | None, role: str, limit: int | None = None) -> SheetStrip | None:
    if row is None:
        return None
    classes = [c for e in folder.results.evaluations if e.split == row.split for c in e.classes]
    class_row = next((c for c in classes if c.name == row.class_name), None)
    entries = zip(row.thumbnails[:limit], row.sample_ids[:limit], strict=True)
    pictures = tuple((folder.photograph(file, SIDE), sample_id) for file, sample_id in entries)
    hits, support = (class_row.hits, class_row.support) if class_row else (0, 0)
    return SheetStrip(row.split, role, pictures, hits, support)
