"""How a claim is written: `accuracy[split] >= 0.99`, as a gate is, or `cause: light`."""

from __future__ import annotations

import re

from fruitaudit.config.gates import parse_figure
from fruitaudit.records.conditions import CauseClaim, Claim

_CAUSE = re.compile(r"\s*cause\s*:(?P<name>.*)", re.DOTALL)
_FIGURE = re.compile(r"\s*\w+\s*\[")


def parse_claim(text: str) -> Claim:
    """Read a claim. Raises ValueError, which says what is valid."""
    if cause := _CAUSE.fullmatch(text):
        return CauseClaim(text, cause["name"].strip())
    if not _FIGURE.match(text):
        raise ValueError(f"claim {text!r} cannot be read: write accuracy[split] >= 0.99, or cause: and what it is")
    return parse_figure(text, "claim")
