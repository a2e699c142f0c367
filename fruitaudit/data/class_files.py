"""Files that name a model's classes in the order of its outputs, as people and libraries write them.

| written as | by |
|---|---|
| one name per line | most |
| `0 ash`, `0,ash`, `0: ash` or `ash,0` per line | Teachable Machine, TensorFlow's and Darknet's label files |
| `["ash", "birch"]` | JSON |
| `{"ash": 0, "birch": 1}` | `class_indices` of Keras' generators |
| `{"0": "ash"}`, `{"0": ["n01440764", "tench"]}` | `id2label`, the class index of ImageNet in `keras.applications` |
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fruitaudit.data.text import read_text

_NUMBERED = (re.compile(r"(?P<index>\d{1,9})(?:\s*[,;:]\s*|\s+)(?P<name>\S.*)"),
             re.compile(r"(?P<name>.*\S)\s*[,;:\t]\s*(?P<index>\d{1,9})"))  # fmt: skip
_WRAPPERS = ("classes", "class_names", "class_indices", "labels", "id2label", "label2id", "names")


@dataclass(frozen=True)
class ClassFile:
    """`names` are distinct, one per output. `other_names` (such as n01440764) lead to an output too."""

    names: tuple[str, ...]
    other_names: dict[str, int]
    told_apart: int = 0
    """How many names occur more than once and were given their index."""


def read_class_file(path: Path) -> ClassFile:
    """Raises OSError, or ValueError (also of decoding), TypeError or RecursionError with what is wrong."""
    text = read_text(path)
    is_json = path.suffix.lower() == ".json"
    rows = None
    if is_json or text.lstrip()[:1] in ("{", "["):
        try:
            rows = _of_json(json.loads(text, object_pairs_hook=_Pairs))
        except json.JSONDecodeError:
            if is_json:
                raise
    if rows is None:
        rows = _of_lines([line.strip() for line in text.splitlines() if line.strip()])
    if not rows:
        raise ValueError("it names no class")
    "".join(name for row in rows for name in row).encode("utf-8")  # half characters fail here
    return _distinct(rows)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, in which a key may stand twice."""


def _of_json(value: Any) -> list[tuple[str, ...]]:
    """One row per output: its name, then other names."""
    if isinstance(value, _Pairs):
        within = [inner for key, inner in value if key in _WRAPPERS and isinstance(inner, list)]
        if within:
            return _of_json(within[0])
        if all(_is_index(inner) for _, inner in value):
            return _by_index([(int(inner), (key,)) for key, inner in value])
        if all(_is_index(key) for key, _ in value):
            return _by_index([(int(key), _row(inner)) for key, inner in value])
        raise ValueError("its mapping must lead from names to the numbers of outputs, or from these to names")
    if not isinstance(value, list):
        raise ValueError("it must hold a list of names or a mapping of names and numbers")
    return [_row(entry) for entry in value]


def _row(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and not isinstance(value, _Pairs) and value and all(isinstance(v, str) for v in value):
        return (value[-1], *value[:-1])  # ImageNet: the WordNet id comes first
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return (str(value),)
    raise ValueError("it must hold a list of names, one per line or as a JSON list")


def _of_lines(lines: Sequence[str]) -> list[tuple[str, ...]]:
    for pattern in _NUMBERED:
        found = [pattern.fullmatch(line) for line in lines]
        rows: list[tuple[int, tuple[str, ...]]] = [
            (int(match["index"]), (match["name"], match[0])) for match in found if match
        ]
        # Only numbers that are those of outputs are taken off: "1 euro", "2 euro" are names.
        if len(rows) == len(lines) and sorted(index for index, _ in rows) == list(range(len(rows))):
            return _by_index(rows)
    return [(line,) for line in lines]


def _by_index(rows: list[tuple[int, tuple[str, ...]]]) -> list[tuple[str, ...]]:
    if sorted(index for index, _ in rows) != list(range(len(rows))):
        absent = sorted(set(range(len(rows))) - {index for index, _ in rows})
        raise ValueError(f"its numbers must be those of the {len(rows)} outputs, from 0 on, each once; {absent[0]} is "
                         "missing")  # fmt: skip
    return [row for _, row in sorted(rows)]


def _is_index(value: Any) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", str(value), re.ASCII) is not None


def _distinct(rows: Sequence[tuple[str, ...]]) -> ClassFile:
    counts = Counter(row[0] for row in rows)
    names = tuple(f"{row[0]} ({i})" if counts[row[0]] > 1 else row[0] for i, row in enumerate(rows))
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise ValueError(f"it names {twice[0]!r} twice; give every output its own name")
    of_others = Counter(name for row in rows for name in row[1:])
    others = {name: i for i, row in enumerate(rows) for name in row[1:] if of_others[name] == 1 and name not in counts}
    return ClassFile(names, others, sum(n > 1 for n in counts.values()))
