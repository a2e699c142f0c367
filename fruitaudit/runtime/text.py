"""Text in sentences: that of others made harmless, and lists in words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

_JOINERS = "\u200c\u200d"
"""Format characters that spelling needs, in Persian, Hindi, or an emoji of several."""
_FOLDERS = re.compile(r"(?<![\w.:/~-])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'\"<>|:;,()\[\]]+[/\\])+")


def harmless(text: str) -> str:
    """With a sign in place of each character that steers a terminal or turns the order of what is written."""
    if text.isprintable():
        return text
    # Of each character once: reports have megabytes of text and few characters.
    return text.translate({ord(c): "\ufffd" for c in set(text) if _steers(c)})


def _steers(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cf", "Cs") and character not in "\t\n\r" + _JOINERS


def printable(text: str) -> str:
    """With what cannot be printed spelled out, for one line in a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(path: str | Path, most: int = 200) -> str:
    """A path or name in a sentence: printable, and its middle left out where it is long."""
    text = printable(str(path))
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


def shortened(name: object) -> str:
    """A name in quotes, as it fits into a sentence; a file can make it as long as it likes."""
    text = repr(str(name))
    return text if len(text) <= 60 else f"{text[:56]}…'"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def without_folders(text: str) -> str:
    """A message of a library, its absolute paths cut down to the last name, because they are those of one machine."""
    return _FOLDERS.sub("", text)


def first_line(error: Exception) -> str:
    """What an error of a library says, for a report: its type and the first line, without folders."""
    line = next(iter(str(error).splitlines()), "no message")
    return f"{type(error).__name__}: {without_folders(line)}"
