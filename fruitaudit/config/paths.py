"""The files and folders that a config names, and how they are spelt where no path of this machine may stand."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fruitaudit.config.document import Document, YamlPosition
from fruitaudit.runtime.paths import expanded, real

_METHODS: tuple[tuple[str | None, ...], ...] = (("methods", None), ("groups", None, "methods", None))
INPUTS: tuple[tuple[str | None, ...], ...] = (
    ("model", "path"), ("model", "classes"),
    *(("splits", None, key) for key in ("path", "originals", "masks")),
    ("providers", "alibi", "python"),
    *((*methods, name, "autoencoder") for methods in _METHODS for name in ("cem", "cem@alibi")),
)  # fmt: skip
"""Keys that name a file or folder that must be there."""

_WITHIN = re.compile(r"(?<=[\s'\"=:,\[{(])/[^\s'\",:;=\[\]{}()]+")
"""An absolute path in a value of `--set`."""


def absolute(base: Path, text: str) -> Path:
    """A path of a config in the folder `base`, which is resolved, so that ".." at its head leads to the parent.

    Raises BadPath where it begins with the home of nobody.
    """
    path = expanded(text)
    while path.parts[:1] == ("..",):
        base, path = base.parent, Path(*path.parts[1:])
    return base / path


def respelt(dumped: dict[str, Any], spell: Callable[[Path], str]) -> dict[str, Any]:
    """The plain values of a config, changed in place: each path as `spell` has it."""
    document = Document(dumped, {(): YamlPosition("", Path())})
    for pattern in (*INPUTS, ("out",)):
        for path, value in list(document.walk(*pattern)):
            if isinstance(value, str) and value:
                document.put(path, spell(Path(value)), document.origins[()])
    return dumped


def relative(path: Path, folder: Path) -> str:
    """As seen from a folder."""
    # What is a link itself stays one: it may be named as the user knows it.
    return os.path.relpath(real(path.parent) / path.name, real(folder))


def portable_command(words: Sequence[str]) -> str:
    """A command line whose absolute paths are written as seen from the working directory, where it was given."""
    return shlex.join(_portable(word) for word in words)


def _portable(word: str) -> str:
    key, equals, value = word.rpartition("=")
    if value.startswith("/"):
        return f"{key}{equals}{_from_here(value)}"
    return _WITHIN.sub(lambda found: _from_here(found[0]), word)


def _from_here(path: str) -> str:
    return relative(Path(path), Path.cwd())
