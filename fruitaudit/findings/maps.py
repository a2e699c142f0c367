"""What the methods say of their own maps, and what the tests of them say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fruitaudit.findings.words import first_ten
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow
from fruitaudit.records.judgement import Finding

COMPLETENESS = 0.05
"""Largest relative completeness error at which an integrated-gradients map is taken as it is."""
ROUNDING = 0.01
"""Largest relative error at which what a map shares out adds up but for rounding (DeepLIFT, DeepSHAP, LRP)."""
FIT = 0.5
"""Smallest share of variance (R^2) that a local linear model must explain for its map to be read."""


def of_maps(explanations: Sequence[ExplanationRow | ExplanationNotRun]) -> Iterator[Finding]:
    """Findings about maps that must not be read as they are."""
    rows = [row for row in explanations if isinstance(row, ExplanationRow)]
    errors = _numbers(rows, "completeness_error")
    rough = [entry for entry in errors if not entry[2] <= COMPLETENESS]
    if rough:
        row, i, error = max(rough, key=lambda entry: np.inf if np.isnan(entry[2]) else entry[2])
        difference = row.diagnostics.get("score_difference", (None,) * (i + 1))[i]
        of = "" if difference is None else f" of a difference of {difference:+.2f} logits"
        yield Finding(
            slug="incomplete-attribution",
            severity="note",
            sentence=f"{len(rough)} of {len(errors)} integrated-gradients maps miss more than {100 * COMPLETENESS:.0f} "
            "% of the score they should account for.",
            evidence=(f"largest relative completeness error {error:.2f}{of} ({row.group}, {row.sample_ids[i]})",),
            remedy="Raise `steps` of integrated_gradients until the error is small; where the score hardly differs "
            "from that of the baseline, it stays large and there is little to account for.",
        )
    sums = [*_numbers(rows, "additivity_error"), *_numbers(rows, "conservation_error")]
    lost = [entry for entry in sums if not entry[2] <= ROUNDING]
    if lost:
        yield Finding(
            slug="lost-attribution",
            severity="note",
            sentence=f"{len(lost)} of {len(sums)} DeepLIFT, DeepSHAP and LRP maps do not add up to the score that they "
            f"share out, by more than {100 * ROUNDING:.0f} %.",
            evidence=first_ten([_gap(row, i, error) for row, i, error in lost]),
            remedy="Do not read these maps unless the score (its difference from the reference's, for DeepLIFT and "
            "DeepSHAP) is close to 0, where rounding is all there is.",
        )
    fits = _numbers(rows, "r2")
    poor = [entry for entry in fits if not entry[2] >= FIT]
    if poor:
        yield Finding(
            slug="poor-fit",
            severity="note",
            sentence=f"{len(poor)} of {len(fits)} LIME maps come from a linear model that explains less than "
            f"{100 * FIT:.0f} % of what the model does around the image.",
            evidence=first_ten([f"R^2 {r2:.2f}: {row.sample_ids[i]}" for row, i, r2 in poor]),
            remedy="Do not read these maps; superpixels do not act one by one there, or hardly act at all.",
        )
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


def _numbers(rows: Sequence[ExplanationRow], diagnostic: str) -> list[tuple[ExplanationRow, int, float]]:
    """(row, place in it, value) of each map that a method told this number of; NaN where it is not finite."""
    return [(row, i, np.nan if value is None else value)
            for row in rows for i, value in enumerate(row.diagnostics.get(diagnostic, ()))]  # fmt: skip


def _gap(row: ExplanationRow, i: int, error: float) -> str:
    gap = "not finite" if np.isnan(error) else f"off by {100 * error:.1f} %"
    return f"{row.method}, {row.group}: {gap}: {row.sample_ids[i]}"
