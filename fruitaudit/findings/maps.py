"""What the methods say of their own maps, and what the tests of them say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.attribution.base import SCORE_DIFFERENCE, Diagnostic
from fruitaudit.findings.words import first_ten
from fruitaudit.providers.registry import diagnostics_of
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow
from fruitaudit.records.judgement import Finding


@dataclass(frozen=True)
class _DiagnosedMap:
    """What a method said of one of its maps; NaN where it is not finite."""

    row: ExplanationRow
    at: int
    value: float


def of_maps(explanations: Sequence[ExplanationRow | ExplanationNotRun]) -> Iterator[Finding]:
    """Findings about maps that must not be read as they are: a method is judged by its own diagnostics alone."""
    rows = [row for row in explanations if isinstance(row, ExplanationRow)]
    for method in dict.fromkeys(row.method for row in rows):
        for diagnostic in diagnostics_of(method).values():
            maps = [entry for row in rows if row.method == method for entry in _diagnosed_maps(row, diagnostic.name)]
            poor = [entry for entry in maps if diagnostic.is_poor(entry.value)]
            if poor:
                yield _of_diagnostic(diagnostic, poor, len(maps))
    empty = [(row.method, sample) for row in rows for sample in row.empty]
    if empty:
        yield Finding(
            slug="empty-maps",
            severity="note",
            sentence=f"{len(empty)} of {sum(len(row.sample_ids) for row in rows)} maps hold no evidence at all (zero "
            "everywhere or not finite); they are shown as such.",
            evidence=first_ten([f"{method}: {sample}" for method, sample in empty]),
            remedy="Read nothing into these maps; another method may still have something to say.",
        )


def _diagnosed_maps(row: ExplanationRow, diagnostic: str) -> list[_DiagnosedMap]:
    values = row.diagnostics.get(diagnostic, ())
    return [_DiagnosedMap(row, i, np.nan if value is None else value) for i, value in enumerate(values)]


def _of_diagnostic(diagnostic: Diagnostic, poor: Sequence[_DiagnosedMap], maps: int) -> Finding:
    """Of one method; the worst map is named first."""

    def badness(entry: _DiagnosedMap) -> float:
        if np.isnan(entry.value):
            return np.inf
        return -entry.value if diagnostic.higher_is_better else entry.value

    row = poor[0].row
    title = row.title if row.provider == "native" else f"{row.title} ({row.provider})"
    return Finding(
        slug=diagnostic.slug,
        severity="note",
        sentence=f"{len(poor)} of {maps} {title} maps {diagnostic.fault}.",
        evidence=first_ten([_measured(diagnostic, entry) for entry in sorted(poor, key=badness, reverse=True)]),
        remedy=diagnostic.remedy,
    )


def _measured(diagnostic: Diagnostic, entry: _DiagnosedMap) -> str:
    if np.isnan(entry.value):
        measured = "not finite"
    else:
        measured = diagnostic.measured.format(value=entry.value, percent=100 * entry.value)
    difference = entry.row.diagnostics.get(SCORE_DIFFERENCE.name, (None,) * (entry.at + 1))[entry.at]
    # An error that is large may be one of next to nothing.
    of = "" if difference is None else f" of a difference of {difference:+.2f} logits"
    return f"{entry.row.method}, {entry.row.group}: {measured}{of}: {entry.row.sample_ids[entry.at]}"
