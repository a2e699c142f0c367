"""The files that a sheet saves: read, checked against the sheet they are of, and refused in one sentence."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from fruitaudit.errors import AuditError
from fruitaudit.rating.agreement import STEPS
from fruitaudit.rating.choosing import RatingSheet, make_sheet
from fruitaudit.report.folder import Folder
from fruitaudit.runtime.text import shown

FORMAT = "fruitaudit-ratings-1"
CODE = "[0-9]{1,40}-[1-9][0-9]{0,6}-[0-9a-f]{16}"
"""Seed, number of pictures, and a hash of all panels."""


@dataclass(frozen=True)
class RaterAnswers:
    """One rater's file. A map is missing from `ratings` where nothing was chosen, None where they could not say."""

    format: Literal["fruitaudit-ratings-1"]
    sheet: Annotated[str, Field(pattern=f"^{CODE}$")]
    rater: Annotated[str, Field(min_length=1, max_length=200)]
    ratings: dict[str, Annotated[int, Field(ge=1, le=STEPS)] | None]


def read_answers(folder: Folder, paths: Sequence[Path]) -> tuple[RatingSheet, list[RaterAnswers]]:
    """The files of one sheet, and the sheet as it is derived again. Raises AuditError with what is wrong."""
    answers = [_parse(path) for path in paths]
    for path, answer in zip(paths, answers, strict=True):
        if answer.sheet != answers[0].sheet:
            raise _refused(f"{paths[0]} and {path} are of different sheets ({answers[0].sheet} and {answer.sheet}): "
                           "read those of one sheet at a time.")  # fmt: skip
    raters = [answer.rater for answer in answers]
    if duplicate := next((rater for rater in raters if raters.count(rater) > 1), None):
        raise _refused(f"Two files are by {duplicate}: leave one out, or change the name in one of them.")
    sheet = _sheet(folder, answers[0].sheet, paths[0])
    panel_ids = {panel.id for panel in sheet.panels}
    for path, answer in zip(paths, answers, strict=True):
        if unknown_ids := sorted(set(answer.ratings) - panel_ids):
            raise _refused(
                f"{path} rates {shown(unknown_ids[0])}, which is no map of its sheet: ask for the file as it was saved."
            )
    return sheet, answers


def _parse(path: Path) -> RaterAnswers:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _refused(f"{path} is no regular file: name the files that the sheet saved.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _refused(f"There is no file {path}: name the files that the sheet saved.") from None
    except (OSError, ValueError) as error:
        raise _refused(f"{path} cannot be read ({shown(str(error))}): ask for the file as it was saved.") from None
    try:
        return TypeAdapter(RaterAnswers).validate_json(text, strict=True)
    except ValidationError as error:
        details = error.errors()[0]
        place = ".".join(map(str, details["loc"])) or "the top level"
        problem = shown(f"{place}: {details['msg']}")
        raise _refused(f"{path} is not what a sheet saves ({problem}): ask for the file as it was saved.") from None


def _sheet(folder: Folder, code: str, path: Path) -> RatingSheet:
    seed, pictures, _ = code.split("-")
    sheet = make_sheet(folder, int(seed), int(pictures))
    if sheet.code != code:
        raise _refused(f"{path} is of a sheet of another audit than {folder.path}, or that was run again since: name "
                       "the folder that the sheet was made from.")  # fmt: skip
    return sheet


def _refused(sentence: str) -> AuditError:
    return AuditError(sentence, slug="ratings")
