"""A CSV or Parquet table of images: `path`, `label`; optional `group_id`, `original`, `mask`.

Other columns are metadata. Paths are relative to the manifest.
"""

from __future__ import annotations

import csv
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.labels import folded
from fruitaudit.data.listing import Entry, FileListing, in_order, without_fractions
from fruitaudit.data.text import encoding_of
from fruitaudit.errors import DataError
from fruitaudit.records.data import BadFile
from fruitaudit.runtime.paths import BadPath, is_file, real, status, why_no_path
from fruitaudit.runtime.text import shown

_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_KNOWN = ("path", "label", "group_id", "original", "mask")


def list_manifest(settings: SplitSettings) -> FileListing:
    """One entry per row. A row without path, label or file is a bad file; so is a file that is listed again."""
    table = _ManifestTable(settings.path)
    try:
        rows = list(_parquet(settings.path) if settings.path.suffix.lower() != ".csv" else _csv(settings.path))
    except UnicodeDecodeError:
        raise DataError(f"split {settings.name}: {settings.path.name} is not UTF-8 text; save it as UTF-8") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"split {settings.name}: {settings.path.name} cannot be read: {error}") from None
    if rows:
        absent = [column for column in ("path", "label") if column not in rows[0]]
        if absent:
            names = [str(column) for column in rows[0] if column is not None]
            remedy = "name them so" if len(names) > 1 else "separate them by commas"
            raise DataError(f"split {settings.name}: {settings.path.name} has no column {' and '.join(absent)}; "
                            f"its columns are {shown(', '.join(names))}; {remedy}")  # fmt: skip
    table.common = _common_folder(settings.path.parent, [str(row.get("path") or "") for row in rows])
    for number, row in enumerate(rows, 1):
        table.add(number, row)
    entries, notes = table.entries, []
    if whole := without_fractions([entry.label for entry in entries]):
        notes.append(f"labels such as {entries[0].label} were read as whole numbers")
        entries = [replace(entry, label=label) for entry, label in zip(entries, whole, strict=True)]
    labels = in_order({entry.label for entry in entries})
    notes += [f"{n} files named as {column} in {settings.path.name} do not exist" for column, n in table.absent.items()]
    return FileListing("manifest", labels, tuple(entries), tuple(table.bad), notes=tuple(notes))


class _ManifestTable:
    def __init__(self, path: Path) -> None:
        self.folder = self.common = path.parent
        self.entries: list[Entry] = []
        self.bad: list[BadFile] = []
        self.absent: dict[str, int] = {}
        self._rows: dict[Path, tuple[int, str]] = {}
        """Row and label of each file."""
        self._names: set[str] = set()

    def add(self, number: int, row: dict[Any, Any]) -> None:
        # value == value: pandas writes an empty number as NaN
        cells = {str(k): str(v) for k, v in row.items() if k is not None and v is not None and v == v and v != ""}
        file = self._file(cells.get("path", ""))
        name = self._name(Path(cells.get("path", "")))
        reason = self._reason(number, row, cells, file)
        if reason:
            self.bad.append(BadFile(shown(name) or f"row {number}", reason))
            return
        self._rows[real(file)] = number, cells["label"]
        if name in self._names:  # ../a/1.png and a/1.png
            name = f"{name}~{number}"
        self._names.add(name)
        self.entries.append(
            Entry(
                name,
                cells["label"],
                file,
                group_id=cells.get("group_id"),
                original=self._beside(cells, "original"),
                mask=self._beside(cells, "mask"),
                metadata={key: value for key, value in cells.items() if key not in _KNOWN},
            )
        )

    def _name(self, path: Path) -> str:
        """A path in the table as a sample is named: where the folder of an absolute one lies is left out."""
        if path.is_absolute():
            path = Path(os.path.relpath(path, self.common))
        return "/".join(part for part in path.parts if part not in ("..", "."))

    def _reason(self, number: int, row: dict[Any, Any], cells: dict[str, str], file: Path) -> str | None:
        if None in row:
            return "its row has more cells than the header"
        for column in ("path", "label"):
            if column not in cells:
                return f"its row has no {column}"
        for column in (c for c in ("path", "original", "mask") if c in cells):
            if reason := why_no_path(self.folder / cells[column]):
                return f"column {column} of row {number} {reason}"
        try:
            if not stat.S_ISREG(status(file).st_mode):
                return "not a regular file"
        except BadPath as error:
            return _why_missing(cells["path"]) if error.absent else str(error)
        if real(file) not in self._rows:
            return None
        first, label = self._rows[real(file)]
        if folded(label) == folded(cells["label"]):
            return f"listed again, after row {first}"
        return (f"one picture with two labels: {shown(repr(label))} in row {first}, which counts, and "
                f"{shown(repr(cells['label']))} in row {number}; remove the wrong one")  # fmt: skip

    def _file(self, cell: str) -> Path:
        """As written, or with its accents composed the other way where that is the file there is."""
        written = self.folder / cell
        otherwise = {self.folder / unicodedata.normalize(form, cell) for form in _FORMS} - {written}
        if not otherwise or is_file(written):
            return written
        return next(filter(is_file, sorted(otherwise)), written)

    def _beside(self, cells: dict[str, str], column: str) -> Path | None:
        if column not in cells:
            return None
        file = self._file(cells[column])
        if is_file(file):
            return file
        self.absent[column] = self.absent.get(column, 0) + 1
        return None


def _why_missing(path: str) -> str:
    if re.match(r"[A-Za-z]:[/\\\\]", path):
        return (
            "missing: its path is that of a Windows machine; write it as seen from the manifest, with / between folders"
        )
    if "\\" in path:
        return "missing: there is no such file; write its path with / instead of \\"
    return "missing: there is no such file"


def _common_folder(folder: Path, paths: list[str]) -> Path:
    """The folder that holds all absolute paths; the manifest's own where it does."""
    parents = {os.path.dirname(path) for path in paths if path.startswith("/")}
    if not parents or all(Path(parent).is_relative_to(folder) for parent in parents):
        return folder
    return Path(os.path.commonpath(parents))


def _csv(path: Path) -> Iterator[dict[Any, Any]]:
    with path.open(encoding=encoding_of(path), newline="") as stream:
        rows = csv.DictReader(stream)
        names = rows.fieldnames or ()
        if twice := [name for name in _KNOWN if names.count(name) > 1]:
            raise ValueError(f"it has two columns {twice[0]}; keep one")
        yield from rows


def _parquet(path: Path) -> Iterator[dict[Any, Any]]:
    import pyarrow.parquet

    try:
        rows: list[dict[Any, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except UnicodeDecodeError:
        raise
    except Exception as error:  # a damaged file makes pyarrow raise nearly anything
        raise ValueError(shown(" ".join(str(error).split()))) from None
    yield from rows
