"""Whether the parts of `results.json` fit each other: what the report looks up in one, another must hold."""

from __future__ import annotations

from collections.abc import Iterator

from fruitaudit.records.explanations import OF_THE_MODEL, ExplanationRow
from fruitaudit.records.results import Results


def first_misfit(results: Results) -> str | None:
    """The first place that does not fit, with what should stand there; None where everything does."""
    return next(_misfits(results), None)


def _misfits(results: Results) -> Iterator[str]:
    splits, groups = {s.name for s in results.splits}, {g.name for g in results.groups}
    for i, evaluation in enumerate(results.evaluations):
        n = len(evaluation.classes)
        if evaluation.split not in splits:
            yield f"evaluations.{i}.split: there is no split {evaluation.split}"
        if len(evaluation.confusion) != n or any(len(row) != n for row in evaluation.confusion):
            yield f"evaluations.{i}.confusion: should have {n} rows and columns"
        if n != len(results.model.class_names):
            yield f"evaluations.{i}.classes: should have {len(results.model.class_names)} entries"
    for i, group in enumerate(results.groups):
        if group.split not in splits:
            yield f"groups.{i}.split: there is no split {group.split}"
    for i, row in enumerate(results.explanations):
        if row.group not in groups and row.group != OF_THE_MODEL:
            yield f"explanations.{i}.group: there is no group {row.group}"
        if isinstance(row, ExplanationRow):
            yield from (f"explanations.{i}.{problem}" for problem in _of_row(row))
    for i, sheet_row in enumerate(results.contact_sheet):
        if len(sheet_row.thumbnails) != len(sheet_row.sample_ids):
            yield f"contact_sheet.{i}.thumbnails: should have {len(sheet_row.sample_ids)} entries"


def _of_row(row: ExplanationRow) -> Iterator[str]:
    n = len(row.sample_ids)
    if len(row.target_classes) != n:
        yield f"target_classes: should have {n} entries"
    if len(row.against_classes) not in (0, n):
        yield f"against_classes: should have {n} entries or none"
    for name, values in row.diagnostics.items():
        if len(values) not in (n, 1) and row.group != OF_THE_MODEL:
            yield f"diagnostics.{name}: should have {n} entries"
