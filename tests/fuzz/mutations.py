"""Damage: bytes that are flipped, lost, doubled or made extreme, and values where nobody expects them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from fruitaudit.errors import AuditError

EXTREMES = [bytes(1), b"\xff", b"\x7f", bytes(4), b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f",
            b"\x80\0\0\0", bytes(8), b"\xff" * 8, b"\n", b"'", b'"', b"{", b"[" * 50, b"\xc3",
            b"PK\x01\x02"]  # fmt: skip
NASTY = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**64), 10**400, 0.5, -0.0, 1e300, "", " ", "x", "a" * 300,
    "a" * 5000, "9" * 5000,
    "../..", "/", "~", "~nouser", "a\nb", "a\tb", "\x1b[31m", "é", "\u202e", "😀", "null", "1", "nan", "<b>", "{{7*7}}",
    "%s%n", "accuracy[store] >= 0.9", [], [[]], [None], ["a", "a"], {}, {"": None}, {"name": "x"}, [{}], [[[[[]]]]],
]  # fmt: skip
"""Plain values; what JSON or YAML cannot hold is left to the bytes."""


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes after one to four kinds of damage."""
    content = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(1, 64))
        match draw(st.sampled_from(["flip", "set", "cut", "drop", "double", "insert", "zero"])):
            case "flip" if content:
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "set":
                value = draw(st.sampled_from(EXTREMES))
                content[at : at + len(value)] = value
            case "cut":
                del content[at:]
            case "drop":
                del content[at : at + length]
            case "double":
                content[at:at] = content[at : at + length]
            case "insert":
                content[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "zero":
                content[at : at + length] = bytes(length)
    return bytes(content)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value below this one."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*above, key)
        yield from places(below, (*above, key))


@st.composite
def changed(draw: st.DrawFn, content: Any, most: int = 3) -> Any:
    """The tree after values were dropped, doubled, moved, or replaced by nasty ones."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, most))):
        paths = list(places(content))
        if not paths:
            break
        *above, last = draw(st.sampled_from(paths))
        place = content
        for step in above:
            place = place[step]
        match draw(st.sampled_from(["drop", "nasty", "nasty", "wrap", "other", "key"])):
            case "drop":
                del place[last]
            case "nasty":
                place[last] = copy.deepcopy(draw(st.sampled_from(NASTY)))
            case "wrap":
                place[last] = [place[last]]
            case "other":
                *way, end = draw(st.sampled_from(paths))
                other: Any = content
                try:
                    for step in (*way, end):
                        other = other[step]
                except (LookupError, TypeError):
                    continue
                place[last] = copy.deepcopy(other)
            case "key" if isinstance(place, dict):
                place[str(draw(st.sampled_from(NASTY)))[:80]] = place[last]
    return content


def sentence_of(run: Callable[[], object]) -> str | None:
    """None where all went well, else what the user reads: one line. Any other error is the fuzzer's find."""
    try:
        run()
    except AuditError as error:
        sentence = str(error)
        assert sentence.strip()
        assert len(sentence) < 2000
        assert len(sentence.splitlines()) == 1, sentence
        return sentence
    return None


class Outcomes:
    """What became of every example: `seen` holds "passed" and "refused" after both have happened.

    A refusal must name one of `names`, so that the user knows what to mend.
    """

    def __init__(self, *names: object) -> None:
        self.names = [str(name) for name in names]
        self.seen: set[str] = set()

    def of(self, run: Callable[[], object]) -> None:
        sentence = sentence_of(run)
        assert sentence is None or any(name in sentence for name in self.names), sentence
        self.seen.add("passed" if sentence is None else "refused")
