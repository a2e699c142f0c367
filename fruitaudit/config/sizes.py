"""Sizes of memory as a config writes them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([MG])i?B", re.IGNORECASE)
_UNITS = {"M": 10**6, "G": 10**9}


def bytes_of(text: str) -> int:
    """Bytes of "500MB" or "4.5 GB". Raises ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no size; write it as 4GB or 800MB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def known_size(text: str) -> str:
    """The text, if it is a size."""
    bytes_of(text)
    return text
