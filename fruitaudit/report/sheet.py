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
    """A row a class, a strip a split (None where the class has no images there); `left_out` classes are not shown."""

    splits: tuple[tuple[str, str], ...]
    """(name, role)."""
    rows: tuple[tuple[str, tuple[SheetStrip | None, ...]], ...]
    left_out: int


def contact_sheet(folder: Folder) -> ContactSheet:
    """The sheet in the order of the results, or the worst classes of it within the budget."""
    drawn = {(row.class_name, row.split): row for row in folder.results.contact_sheet}
    roles = {e.split: str(e.role) for e in folder.results.evaluations}
    splits = tuple((s, roles[s]) for s in dict.fromkeys(split for _, split in drawn) if s in roles)
    names = list(dict.fromkeys(name for name, _ in drawn))
    largest = max((sum(len(drawn[n, s].thumbnails) for s, _ in splits if (n, s) in drawn) for n in names), default=0)
    kept = {row.name for row in _worst(folder, max(1, BUDGET // max(1, largest)))} or set(names)
    rows = tuple(
        (name, tuple(_strip(folder, drawn.get((name, split)), role) for split, role in splits))
        for name in names
        if name in kept
    )
    return ContactSheet(splits, rows, len(names) - len(rows))


def contrasts(folder: Folder) -> list[tuple[str, SheetStrip, SheetStrip]]:
    """(class, lab, field) of the classes that do worst in the field: one picture each, for the first page."""
    evaluations = by_importance(folder.results.evaluations)
    field = next((e.split for e in evaluations if e.role == "field"), None)
    lab = next((e.split for e in evaluations if e.role != "field"), None)
    drawn = {(row.class_name, row.split): row for row in folder.results.contact_sheet if row.thumbnails}
    found = []
    if lab is None or field is None:
        return []
    for row in _worst(folder, CONTRASTS):
        here, there = (drawn.get((row.name, split)) for split in (lab, field))
        ours, theirs = _strip(folder, here, "lab", 1), _strip(folder, there, "field", 1)
        if ours and theirs and ours.pictures[0][0] and theirs.pictures[0][0]:
            found.append((row.name, ours, theirs))
    return found


def _worst(folder: Folder, limit: int) -> list[ClassRow]:
    ranked = by_importance(folder.results.evaluations)
    return worst_classes(ranked[0], limit) if ranked else []


def _strip(folder: Folder, row: SheetRow | None, role: str, limit: int | None = None) -> SheetStrip | None:
    if row is None:
        return None
    classes = [c for e in folder.results.evaluations if e.split == row.split for c in e.classes]
    counted = next((c for c in classes if c.name == row.class_name), None)
    named = zip(row.thumbnails[:limit], row.sample_ids[:limit], strict=True)
    pictures = tuple((folder.photograph(file, SIDE), sample_id) for file, sample_id in named)
    hits, support = (counted.hits, counted.support) if counted else (0, 0)
    return SheetStrip(row.split, role, pictures, hits, support)
