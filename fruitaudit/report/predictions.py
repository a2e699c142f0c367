"""`predictions.parquet`: every prediction of every split, one row per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fruitaudit.errors import AuditError
from fruitaudit.records.evaluation import Predictions
from fruitaudit.runtime.files import atomic
from fruitaudit.runtime.text import shown

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "p:"
"""A column of probabilities is named `p:<class>`."""
COLUMNS = ("split", "sample_id", "true", "predicted", "correct", "confidence")
"""Those that every version wrote."""


def write_predictions(path: Path, predictions: Sequence[Predictions]) -> Path:
    """Write split, sample_id, group_id, true, predicted, correct, confidence, and float32 `p:<class>` of each class.

    `group_id` is empty where the data names no group.
    """
    import pandas as pd

    frame = pd.concat([_frame(split) for split in predictions], ignore_index=True)
    with atomic(path) as stream:
        frame.to_parquet(stream, engine="pyarrow", index=False)
    return path


def read_predictions(path: Path) -> pd.DataFrame:
    """Read the file back, or raise AuditError."""
    import pandas as pd

    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise AuditError(
            f"{path} is missing: name the output folder of a finished audit.", slug="results-missing"
        ) from None
    except Exception as error:  # a damaged file makes pyarrow raise nearly anything
        reason = shown(" ".join(str(error).split()))
        raise AuditError(f"{path} cannot be read ({reason}): run the audit again.", slug="results-damaged") from error
    names = {str(name): str(kind) for name, kind in frame.dtypes.items()}
    absent = [name for name in COLUMNS if name not in names]
    odd = [name for name, kind in names.items() if name.startswith((PREFIX, "confidence")) and "float" not in kind]
    if absent or odd:
        what = f"has no column {absent[0]}" if absent else f"holds no numbers in its column {shown(odd[0])}"
        raise AuditError(f"{path} {what}: run the audit again.", slug="results-damaged")
    return frame


def class_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the classes, in the order of the model's outputs."""
    return [name.removeprefix(PREFIX) for name in frame.columns if name.startswith(PREFIX)]


def _frame(split: Predictions) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    names = np.asarray(split.class_names, dtype=object)
    columns = {
        "split": np.full(len(split.labels), split.split, dtype=object),
        "sample_id": np.asarray(split.sample_ids, dtype=object),
        "group_id": np.asarray(split.group_ids or [""] * len(split.labels), dtype=object),
        "true": names[split.labels],
        "predicted": names[split.predicted],
        "correct": split.labels == split.predicted,
        "confidence": split.probabilities.max(axis=1).astype(np.float32),
    }
    columns |= {PREFIX + name: split.probabilities[:, k].astype(np.float32) for k, name in enumerate(split.class_names)}
    return pd.DataFrame(columns)
