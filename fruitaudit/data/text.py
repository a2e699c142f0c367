"""Text files of people: what editors on Windows put before the first letter is read as the encoding, not as text."""

from __future__ import annotations

import codecs
from pathlib import Path


def encoding_of(path: Path) -> str:
    """UTF-8 with or without byte order mark, or UTF-16 where its mark says so. Raises OSError."""
    with path.open("rb") as stream:
        mark = stream.read(2)
    return "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def read_text(path: Path) -> str:
    """The whole file. Raises OSError or UnicodeDecodeError."""
    return path.read_text(encoding=encoding_of(path))
