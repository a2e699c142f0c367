"""Labels that look wrong as a table that a person fills in: `labels_to_check.csv` in the output folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from fruitaudit.diagnosis.data_checks.labels import WORKSHEET, Doubt, LabelCheck
from fruitaudit.runtime.files import atomic

COLUMNS = ("split", "sample_id", "path", "label", "predicted", "probability", "nearest_training_image",
           "nearest_label", "nearest_distance", "label_is_right", "right_label", "remark")  # fmt: skip
"""The last three are empty: they are the reviewer's."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_worksheet(folder: Path, checks: Sequence[LabelCheck]) -> Path | None:
    """All doubtful labels, the surest of each split first; no file where there is none."""
    rows = [_row(check.listing.split, doubt) for check in checks for doubt in check.doubts]
    if not rows:
        return None
    with atomic(folder / WORKSHEET, "w") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    return folder / WORKSHEET


def _row(split: str, doubt: Doubt) -> tuple[str, ...]:
    neighbour = doubt.nearest
    nearest = (neighbour.sample_id, neighbour.label, f"{neighbour.distance:.4f}") if neighbour else ("", "", "")
    path = doubt.sample_id.removeprefix(f"{split}/")
    classes = (doubt.label, doubt.predicted, f"{doubt.probability:.3f}")
    return split, doubt.sample_id, path, *classes, *nearest, "", "", ""


def _harmless(cell: str) -> str:
    """A spreadsheet would run what begins like a formula, and names of files and classes are a stranger's."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
