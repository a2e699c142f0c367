"""Finds `templates/` and `configs/`: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """Path of a shipped file or folder, e.g. `resource("templates", "style.css")`."""
    for root in (_PACKAGE.parent, _PACKAGE / "_shipped"):
        path = root.joinpath(*parts)
        # A checkout is told from site-packages by its pyproject.toml: a stranger's `configs` folder is not ours.
        if path.exists() and (root != _PACKAGE.parent or (root / "pyproject.toml").exists()):
            return path
    raise FileNotFoundError(f"{'/'.join(parts)} is missing from this installation of fruitaudit; install it again")
