"""Git LFS pointers: the few lines that stand in a checkout where a large file was not fetched."""

from __future__ import annotations

from pathlib import Path

from fruitaudit.runtime.paths import is_file

_START = b"version https://git-lfs.github.com/spec"
INSTEAD = "a Git LFS pointer is here in place of the file; fetch it with `git lfs pull`"


def is_pointer(data: bytes) -> bool:
    """Whether these are the first bytes of a pointer."""
    return data.startswith(_START)


def points(path: Path) -> bool:
    """Whether the file at this path is a pointer; a file that cannot be read is none."""
    if not is_file(path):
        return False
    try:
        with path.open("rb") as stream:
            return is_pointer(stream.read(len(_START)))
    except OSError:
        return False
