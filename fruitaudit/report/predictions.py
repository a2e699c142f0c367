"""`predictions.parquet`: every prediction of every split, one row per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fruitaudit.errors import AuditError
from fruitaudit.records.evaluation import Predictions
from fruitaudit.runtime.files import atomic

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "p:"
"""A column of probabilities is named `p:<class>`."""


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
        return pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise AuditError(
            f"{path} is missing: name the output folder of a finished audit.", slug="results-missing"
        ) from None
    except (OSError, ValueError) as error:
        raise AuditError(f"{path} cannot be read ({error}): run the audit again.", slug="results-damaged") from error


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
