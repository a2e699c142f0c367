"""`results.json` and `run.json`: equal audits give equal bytes, and a bad file is one sentence.

Floats are written as the shortest text that reads back as the same number; NaN and infinity are refused, because JSON
has neither and a figure that could not be computed is a `NotRun`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from fruitaudit.errors import AuditError
from fruitaudit.records.results import Results, RunInfo
from fruitaudit.report.consistency import first_misfit
from fruitaudit.runtime.files import write_text
from fruitaudit.runtime.text import shown

RESULTS = "results.json"
RUN = "run.json"
PREDICTIONS = "predictions.parquet"
SCHEMA_VERSION = "1"

T = TypeVar("T")


def dump(record: object) -> str:
    """The record as sorted, indented JSON. Raises ValueError where a number is not finite."""
    plain = TypeAdapter(type(record)).dump_python(record, mode="json")
    return json.dumps(plain, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def save_results(directory: Path, results: Results) -> Path:
    """Write `results.json` into `directory`."""
    write_text(directory / RESULTS, dump(results))
    return directory / RESULTS


def save_run(directory: Path, run: RunInfo) -> Path:
    """Write `run.json` into `directory`."""
    write_text(directory / RUN, dump(run))
    return directory / RUN


def load_results(directory: Path) -> Results:
    """Read `results.json` of an output folder. Raises AuditError where it is missing, damaged or of another version."""
    content = _read(directory, RESULTS)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise AuditError(
            f"{directory / RESULTS} has schema version {shown(repr(version))} and this fruitaudit reads "
            f"{SCHEMA_VERSION!r}: render it with the version of fruitaudit that wrote it.",
            slug="results-version",
        )
    results = _parse(Results, content, directory / RESULTS)
    if misfit := first_misfit(results):
        raise _damaged(directory / RESULTS, misfit)
    return results


def load_run(directory: Path) -> RunInfo:
    """Read `run.json` of an output folder. Raises AuditError like `load_results`."""
    return _parse(RunInfo, _read(directory, RUN), directory / RUN)


def is_audit(directory: Path) -> bool:
    """Whether an audit wrote this folder, of whatever version, damaged or not."""
    try:
        return "fruitaudit_version" in json.loads((directory / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def results_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `results.json`."""
    schema = TypeAdapter(Results).json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"fruitaudit results, version {SCHEMA_VERSION}",
    }


def _read(directory: Path, name: str) -> dict[str, Any]:
    path = directory / name
    if not directory.is_dir():
        raise AuditError(f"There is no folder {directory}: name the output folder of an audit.", slug="results-missing")
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_finite)
    except FileNotFoundError:
        raise AuditError(
            f"{directory} holds no {name}: name the output folder of a finished audit.", slug="results-missing"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else shown(str(error))
        raise AuditError(f"{path} cannot be read ({reason}): run the audit again.", slug="results-damaged") from error
    if not isinstance(content, dict):
        raise AuditError(f"{path} holds no JSON object: run the audit again.", slug="results-damaged")
    return content


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


def _parse(kind: type[T], content: dict[str, Any], path: Path) -> T:
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content))
    except ValidationError as error:
        details = error.errors()[0]
        place = ".".join(map(str, details["loc"])) or "the top level"
        raise _damaged(path, f"{place}: {details['msg']}") from error


def _damaged(path: Path, problem: str) -> AuditError:
    return AuditError(
        f"{path} is not what fruitaudit writes ({shown(problem)}): run the audit again.", slug="results-damaged"
    )
