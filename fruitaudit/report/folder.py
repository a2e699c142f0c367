"""The output folder of an audit: all that a report may look at."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fruitaudit.config.scales import APPLICATIONS
from fruitaudit.errors import AuditError
from fruitaudit.records.explanations import KINDS, Explanation, ExplanationRow, Maps, Segments
from fruitaudit.records.packing import unpack
from fruitaudit.records.results import Picture, Results, RunInfo
from fruitaudit.records.states import NotRun
from fruitaudit.report.artefacts import PREDICTIONS, load_results, load_run
from fruitaudit.report.figures import photograph
from fruitaudit.report.predictions import read_predictions
from fruitaudit.runtime.staging import finish

if TYPE_CHECKING:
    import pandas as pd


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

    def explanation(self, row: ExplanationRow) -> Explanation | NotRun:
        """The explanation of one row, or why it cannot be drawn."""
        try:
            with np.load(self.file(row.file), allow_pickle=False) as stored:
                n, content = len(stored["sample_ids"]), unpack(stored)
        except FileNotFoundError:
            return NotRun(f"{row.file} is missing from the folder", "unreadable")
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return NotRun(f"{row.file} is damaged or was written by another version of fruitaudit", "unreadable")
        if n != len(row.sample_ids) or KINDS[type(content)] != row.kind:
            return NotRun(
                f"{row.file} does not hold what results.json says of its {len(row.sample_ids)} images", "unreadable"
            )
        if isinstance(content, Maps | Segments) and len(content.values) != n:
            return NotRun(f"{row.file} does not hold the {n} maps that results.json names", "unreadable")
        return content

    def photograph(self, name: str | None, side: int) -> str | None:
        """A picture at most `side` pixels a side as a data URI, None where there is none."""
        if name is None:
            return None
        if (name, side) not in self._thumbnails:
            self._thumbnails[name, side] = photograph(self.file(name), side)
        return self._thumbnails[name, side]

    @cached_property
    def _thumbnails(self) -> dict[tuple[str, int], str | None]:
        """Photographs already made small: an image may stand in several groups."""
        return {}

    @property
    def bgr(self) -> bool:
        """Whether the model's inputs have blue first."""
        return APPLICATIONS.get(self.results.preprocessing.scale) == "caffe"

    @cached_property
    def pictures(self) -> dict[str, Picture]:
        """The pictures of the explained samples, by sample id."""
        return {picture.sample_id: picture for picture in self.results.pictures}

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """`predictions.parquet`."""
        return read_predictions(self.path / PREDICTIONS)


def open_folder(path: Path) -> Folder:
    """Read an output folder, and complete it first where its audit was killed while it moved its files there.

    Raises AuditError where it is not one.
    """
    finish(path)
    return Folder(path, load_results(path), load_run(path))
