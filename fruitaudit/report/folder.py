"""The output folder of an audit: all that a report may look at."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fruitaudit.config.scales import APPLICATIONS
from fruitaudit.data.arrays import Archive
from fruitaudit.errors import AuditError
from fruitaudit.records.explanations import KINDS, Explanation, ExplanationRow
from fruitaudit.records.fitting import fits
from fruitaudit.records.packing import unpack
from fruitaudit.records.results import Picture, Results, RunInfo
from fruitaudit.records.states import NotRun
from fruitaudit.report.artefacts import PREDICTIONS, load_results, load_run
from fruitaudit.report.figures import photograph
from fruitaudit.report.predictions import read_predictions
from fruitaudit.runtime.paths import is_file, real, why_no_path
from fruitaudit.runtime.staging import finish
from fruitaudit.runtime.text import shown

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
        if reason := why_no_path(self.path / name):
            raise AuditError(f"{self.path}/results.json names {shown(name)}, which {reason}: do not trust it.")
        path = real(self.path / name)
        if not path.is_relative_to(real(self.path)):
            raise AuditError(
                f"{self.path}/results.json names {shown(name)}, which is outside the folder: do not trust it."
            )
        return path

    def explanation(self, row: ExplanationRow) -> Explanation | NotRun:
        """The explanation of one row, or why it cannot be drawn."""
        if not is_file(self.file(row.file)):
            return NotRun(f"{row.file} is missing from the folder", "unreadable")
        damaged = NotRun(f"{row.file} is damaged or was written by another version of fruitaudit", "unreadable")
        try:
            with Archive(self.file(row.file)) as stored:
                arrays = {name: stored.array(name) for name in stored.names}
            n, content = len(arrays["sample_ids"]), unpack(arrays)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return damaged
        if n != len(row.sample_ids) or KINDS[type(content)] != row.kind:
            return NotRun(
                f"{row.file} does not hold what results.json says of its {len(row.sample_ids)} images", "unreadable"
            )
        return content if _fits(content, n, len(self.results.model.class_names)) else damaged

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
        prepared = self.results.preprocessing
        return (APPLICATIONS.get(prepared.scale) == "caffe") != (prepared.channel_order == "bgr")

    @cached_property
    def pictures(self) -> dict[str, Picture]:
        """The pictures of the explained samples, by sample id."""
        return {picture.sample_id: picture for picture in self.results.pictures}

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """`predictions.parquet`."""
        return read_predictions(self.path / PREDICTIONS)


def _fits(content: Explanation, n: int, n_classes: int) -> bool:
    try:
        return fits(content, n, n_classes)
    except (ValueError, LookupError, TypeError, AttributeError):  # a number or text where an array should be
        return False


@contextmanager
def made_of(path: Path) -> Iterator[None]:
    """Around all that is made of an output folder which anybody may have changed since an audit wrote it.

    Records that contradict each other make Python raise nearly anything; here, and only for such a folder, it becomes
    an AuditError. Faults of the disk stay what they are.
    """
    try:
        yield
    except (AuditError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise
        reason = shown(" ".join(str(error).split()))
        raise AuditError(f"{path} does not hold what an audit writes ({type(error).__name__}: {reason}): run the audit "
                         "again.", slug="results-damaged") from error  # fmt: skip


OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)


def open_folder(path: Path) -> Folder:
    """Read an output folder, and complete it first where its audit was killed while it moved its files there.

    Raises AuditError where it is not one.
    """
    finish(path)
    return Folder(path, load_results(path), load_run(path))
