"""The folder of a case."""

from __future__ import annotations

from pathlib import Path

CONFIG = "fruitaudit.yaml"


def is_case(folder: Path) -> bool:
    """Whether `fruitaudit demo` made this folder, as the head of its config says."""
    try:
        return "case that `fruitaudit demo` makes" in (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
