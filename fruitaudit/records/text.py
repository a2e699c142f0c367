"""Text of others, made harmless: names of files and classes, and what libraries say."""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Format characters that spelling needs, in Persian, Hindi, or an emoji of several."""
_FOLDERS = re.compile(r"(?<![\w.:/~-])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'\"<>|:;,()\[\]]+[/\\])+")


def harmless(text: str) -> str:
    """With a sign in place of each character that steers a terminal or turns the order of what is written."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if _steers(c) else c for c in text)


def _steers(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cf", "Cs") and character not in "\t\n\r" + _JOINERS


def without_folders(text: str) -> str:
    """A message of a library, its absolute paths cut down to the last name, because they are those of one machine."""
    return _FOLDERS.sub("", text)


def first_line(error: Exception) -> str:
    """What an error of a library says, for a report: its type and the first line, without folders."""
    line = next(iter(str(error).splitlines()), "no message")
    return f"{type(error).__name__}: {without_folders(line)}"
