"""The table of predictions: rows within a budget, columns by total probability, the chapter's highlighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fruitaudit.records.explanations import Group
from fruitaudit.records.results import Results
from fruitaudit.report.predictions import PREFIX, class_columns

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 24
"""Classes that get a column of their own; the others share "rest"."""
_MARKS = {"false_positive": "chosen-fp", "false_negative": "chosen-fn", "confused": "chosen-fn",
           "misclassified": "chosen-fn"}  # fmt: skip


@dataclass(frozen=True)
class PredictionRow:
    """One image. `mark` is "hit", "chosen-fp", "chosen-fn" or ""; `cells` whole percents, None where it would be 0."""

    sample_id: str
    split: str
    true: str
    predicted: str
    correct: bool
    confidence: float
    mark: str
    groups: str
    cells: tuple[int | None, ...]
    at: int
    """Which cell is the predicted class; -1 where it has no column."""


@dataclass(frozen=True)
class PredictionTable:
    """What the report shows of all predictions."""

    classes: tuple[str, ...]
    has_rest: bool
    rows: tuple[PredictionRow, ...]
    total: int
    n_field: int
    shown_field: int
    n_errors: int
    shown_errors: int

    @property
    def splits(self) -> list[str]:
        """Splits of the rows shown."""
        return list(dict.fromkeys(row.split for row in self.rows))

    @property
    def true_classes(self) -> list[str]:
        """True classes of the rows shown, by name."""
        return sorted({row.true for row in self.rows})

    @property
    def answers(self) -> list[str]:
        """Answers of the rows shown, by name."""
        return sorted({row.predicted for row in self.rows})


def prediction_table(frame: pd.DataFrame, results: Results) -> PredictionTable:
    """Rows of explained images, then of the field split, then errors elsewhere, up to `results.table_rows`."""
    field_splits = [e.split for e in results.evaluations if e.role == "field"]
    in_field, wrong = frame["split"].isin(field_splits).to_numpy(), ~frame["correct"].to_numpy(dtype=bool)
    groups = _groups_of(results.groups)
    explained = frame["sample_id"].isin(list(groups)).to_numpy()
    candidates = np.flatnonzero(explained | in_field | wrong)
    rank = np.select([explained, in_field & wrong, in_field], [0, 1, 2], 3)[candidates]
    selected = np.sort(candidates[np.argsort(rank, kind="stable")][: results.table_rows])
    selected = selected[np.argsort(~in_field[selected], kind="stable")]
    rows = frame.iloc[selected]
    names = class_columns(frame)
    values = rows[[PREFIX + name for name in names]].to_numpy(dtype=np.float64).reshape(len(rows), len(names))
    order = np.argsort(-values.sum(axis=0), kind="stable")[:COLUMNS]
    has_rest = len(names) > len(order)
    cells = values[:, order]
    if has_rest:
        cells = np.column_stack([cells, 1 - cells.sum(axis=1)])
    classes = tuple(names[i] for i in order)
    return PredictionTable(
        classes=classes,
        has_rest=has_rest,
        rows=_rows(rows, cells, classes, groups),
        total=len(frame),
        n_field=int(in_field.sum()),
        shown_field=int(in_field[selected].sum()),
        n_errors=int(wrong.sum()),
        shown_errors=int(wrong[selected].sum()),
    )


def _rows(
    frame: pd.DataFrame, cells: np.ndarray, classes: Sequence[str], groups: dict[str, list[Group]]
) -> tuple[PredictionRow, ...]:
    place = {name: i for i, name in enumerate(classes)}
    rows = []
    for record, values in zip(frame.to_dict("records"), cells, strict=True):
        row_groups = groups.get(str(record["sample_id"]), [])
        mark = next((_MARKS[group.kind] for group in row_groups if group.kind in _MARKS), "")
        rows.append(
            PredictionRow(
                sample_id=str(record["sample_id"]),
                split=str(record["split"]),
                true=str(record["true"]),
                predicted=str(record["predicted"]),
                correct=bool(record["correct"]),
                confidence=float(record["confidence"]),
                mark="hit" if record["correct"] else mark,
                groups=", ".join(group.name for group in row_groups),
                cells=tuple(round(100 * v) or None for v in values.tolist()),
                at=place.get(str(record["predicted"]), -1),
            )
        )
    return tuple(rows)


def _groups_of(groups: Sequence[Group]) -> dict[str, list[Group]]:
    by_sample: dict[str, list[Group]] = {}
    for group in groups:
        for sample_id in group.sample_ids:
            by_sample.setdefault(sample_id, []).append(group)
    return by_sample
