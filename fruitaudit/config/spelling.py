"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

_LISTED = 30
"""Names that a sentence about a wrong one lists."""


def nearest(name: str, valid: Sequence[str]) -> str:
    """The nearest spelling, and those that there are."""
    lower = {candidate.lower(): candidate for candidate in valid}
    close = get_close_matches(name.lower(), lower, n=1)
    more = f" and {len(valid) - _LISTED} more" if len(valid) > _LISTED else ""
    listing = f"known are {', '.join(valid[:_LISTED])}{more}"
    return f"did you mean {lower[close[0]]}? ({listing})" if close else listing
