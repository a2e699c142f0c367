"""What is wrong with a config, in one sentence: file, line, key, and the nearest valid key."""

from __future__ import annotations

import difflib
import re
from typing import Any

from pydantic import ValidationError

from fruitaudit.config.document import Document, KeyPath, dotted
from fruitaudit.config.schema import Misfit

_PLAIN_WORDS = (
    (re.compile(r"a valid tuple|a valid list"), "a list"),
    (re.compile(r"a valid dictionary( or instance of \w+)?"), "a mapping"),
    (re.compile(r"a valid string"), "text"),
    (re.compile(r"is not a (valid )?path.*"), "should be a path"),
    (re.compile(r", unable to parse.*"), ""),
    (re.compile(r"a valid (integer|number|boolean)"), r"a \1"),
    (re.compile(r"\ba integer"), "an integer"),
    (re.compile(r"^Tuple |^List "), ""),
    (re.compile(r" after validation"), ""),
)


def complaint(error: ValidationError, document: Document, schema: dict[str, Any]) -> str:
    """The most telling of the errors: an unknown key first, else the one deepest in the file."""
    problems = [(_written_path(document.data, e["loc"], e), e) for e in error.errors()]
    path, worst = min(problems, key=_rank)
    label, kind = document.origin(path).label, worst["type"]
    if kind == "extra_forbidden":
        return f"{label}: unknown key {str(path[-1])!r} in {_place(path[:-1])}; {_nearest(path, schema)}"
    if kind == "missing":
        absent = worst["loc"][-1]
        if isinstance(absent, int):
            return f"{label}: {dotted(path)!r} should have {absent + 1} entries"
        return f"{label}: the required key {absent!r} is missing in {_place(path)}"
    if kind == "value_error":
        return f"{label}: {f'{dotted(path)!r}: ' if path else ''}{worst['ctx']['error']}"
    # The branches of a union complain one by one about the same value.
    texts = [_plain(e["msg"]) for p, e in problems if p == path and e["type"] not in ("extra_forbidden", "missing")]
    expectation = " or ".join(dict.fromkeys(text.removeprefix("should be ") for text in texts))
    verb = "should be " if texts[0].startswith("should be ") else ""
    return f"{label}: {dotted(path)!r} {verb}{expectation}{_instead(worst)}"


def _rank(problem: tuple[KeyPath, Any]) -> tuple[bool, int, bool]:
    path, error = problem
    return error["type"] != "extra_forbidden", -len(path), error["type"] != "value_error"


def _written_path(data: Any, loc: tuple[str | int, ...], error: Any) -> KeyPath:
    """The part of a pydantic location that stands in the file: names of union branches are left out."""
    misfit = error.get("ctx", {}).get("error")
    path: list[str | int] = []
    for step in (*loc, *(misfit.path if isinstance(misfit, Misfit) else ())):
        within = step in data if isinstance(data, dict) else isinstance(data, list) and step in range(len(data))
        if within:
            path.append(step)
            data = data[step]
    return tuple(path)


def _place(path: KeyPath) -> str:
    return f"'{dotted(path)}'" if path else "the top level"


def _nearest(path: KeyPath, schema: dict[str, Any]) -> str:
    keys = valid_keys(schema, path[:-1])
    near = difflib.get_close_matches(str(path[-1]), keys, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"its keys are {', '.join(keys)}"


def valid_keys(schema: dict[str, Any], path: KeyPath) -> list[str]:
    """The keys that the JSON Schema allows in the mapping at this path."""
    nodes = _branches(schema, schema)
    for step in path:
        below = [n["items"] if isinstance(step, int) else n["properties"][step] for n in nodes
                 if (isinstance(step, int) and "items" in n) or step in n.get("properties", {})]  # fmt: skip
        nodes = [branch for node in below for branch in _branches(schema, node)]
    return [key for node in nodes for key in node.get("properties", {})]


def _branches(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _branches(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    alternatives = node.get("anyOf")
    return [b for part in alternatives for b in _branches(schema, part)] if alternatives else [node]


def _plain(message: str) -> str:
    message = message.removeprefix("Input ")
    for pattern, words in _PLAIN_WORDS:
        message = pattern.sub(words, message)
    return message


def _instead(error: Any) -> str:
    value, message = error["input"], error["msg"]
    if ", not " in message:
        return ""
    text = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    return f", not {text if len(text) <= 60 else text[:57] + '...'}"
