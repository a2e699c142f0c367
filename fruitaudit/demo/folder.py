"""The folder of a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fruitaudit.runtime.paths import output_folder
from fruitaudit.runtime.staging import staged

CONFIG = "fruitaudit.yaml"


def write_case(folder: Path, owned: Sequence[str], fill: Callable[[Path], None]) -> Path:
    """Have a case written into a folder, as a whole or not at all; returns the path of its config.

    `owned` are the names of all that `fill` writes. Raises ConfigError where that would replace what is not of a case.
    """
    folder = output_folder(folder)
    with staged(folder, owned, _is_case) as staging:
        fill(staging)
    return folder / CONFIG


def _is_case(folder: Path) -> bool:
    """Whether `fruitaudit demo` made this folder, as the head of its config says."""
    try:
        return "case that `fruitaudit demo` makes" in (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
