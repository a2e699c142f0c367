"""The output folder of an audit: all that a report may look at."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fruitaudit.errors import AuditError
from fruitaudit.records.explanations import ExplanationRow
from fruitaudit.records.results import Picture, Results, RunInfo
from fruitaudit.records.states import NotRun
from fruitaudit.report.artefacts import PREDICTIONS, load_results, load_run
from fruitaudit.report.figures import photograph
from fruitaudit.report.predictions import read_predictions

if TYPE_CHECKING:
    import pandas as pd

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Folder:
    """`results.json` and `run.json`, and the way to the files they name."""

    path: Path
    results: Results
    run: RunInfo

    def file(self, name: str) -> Path:
        """A file that the results name. Raises AuditError where it lies outside the folder."""
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise AuditError(f"{self.path}/results.json names {name}, which is outside the folder: do not trust it.")
        return path

    def arrays(self, row: ExplanationRow) -> Arrays | NotRun:
        """The raw maps of one method on one group, or why they cannot be drawn."""
        try:
            with np.load(self.file(row.file), allow_pickle=False) as stored:
                arrays = dict(stored)
        except FileNotFoundError:
            return NotRun(f"{row.file} is missing from the folder")
        except (OSError, ValueError, zipfile.BadZipFile):
            return NotRun(f"{row.file} is damaged")
        if arrays.get("maps", np.empty(0)).shape[:1] != (len(row.sample_ids),):
            return NotRun(f"{row.file} does not hold the {len(row.sample_ids)} maps that results.json names")
        return arrays

    def photograph(self, name: str | None, side: int) -> str | None:
        """A picture at most `side` pixels a side as a data URI, None where there is none."""
        if name is None:
            return None
        if (name, side) not in self._drawn:
            self._drawn[name, side] = photograph(self.file(name), side)
        return self._drawn[name, side]

    @cached_property
    def _drawn(self) -> dict[tuple[str, int], str | None]:
        """Photographs already made small: an image may stand in several groups."""
        return {}

    @cached_property
    def pictures(self) -> dict[str, Picture]:
        """The pictures of the explained samples, by sample id."""
        return {picture.sample_id: picture for picture in self.results.pictures}

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """`predictions.parquet`."""
        return read_predictions(self.path / PREDICTIONS)


def open_folder(path: Path) -> Folder:
    """Read an output folder. Raises AuditError where it is not one."""
    return Folder(path, load_results(path), load_run(path))
