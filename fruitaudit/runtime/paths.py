"""Paths as people write them: what is wrong with one is said in words, before anything is opened or written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fruitaudit.errors import ConfigError
from fruitaudit.runtime.text import shown

_LONGEST_NAME = 255
"""Bytes, on every file system in use."""
_LONGEST_PATH = 4095
_DEEPEST = 300
"""Folders: Python makes those that are missing by recursion."""
_ROOM = 700
"""Bytes that the names within an output folder may need."""


class BadPath(ValueError):
    """A path that cannot be used; `str` goes on after the path: "is a link to nothing".

    `absent`: one could be there, and nothing is.
    """

    def __init__(self, reason: str, *, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


def expanded(path: str | Path) -> Path:
    """With the home folder in place of `~`. Raises BadPath where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadPath(f"begins with {Path(path).parts[0]}, and there is no user of that name") from None


def why_no_path(path: Path) -> str | None:
    """Why no file can have this name, whatever lies on the disk; None where one can."""
    text = str(path)
    if "\0" in text:
        return "holds a NUL character, which no file name can"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8 text"
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        return f"has a name of more than {_LONGEST_NAME} bytes"
    return f"is longer than {_LONGEST_PATH} bytes" if len(os.fsencode(text)) > _LONGEST_PATH else None


def status(path: Path) -> os.stat_result:
    """What lies at a path, links followed. Raises BadPath in words where nothing does or it cannot be looked at."""
    try:
        return path.stat()
    except ValueError:
        raise BadPath("holds a NUL character, which no file name can") from None
    except (FileNotFoundError, NotADirectoryError):
        raise BadPath("does not exist", absent=True) from None
    except OSError as error:
        raise BadPath(f"cannot be looked at: {error.strerror}") from None


def is_file(path: Path) -> bool:
    """Whether a regular file lies there; False for every path that cannot be."""
    try:
        return stat.S_ISREG(status(path).st_mode)
    except BadPath:
        return False


def real(path: Path) -> Path:
    """Absolute, links followed as far as they lead; a circle of links ends where it begins."""
    return Path(os.path.realpath(path))


def output_folder(path: Path) -> Path:
    """The folder to fill, `~` expanded. Raises ConfigError where it can be neither found nor made; makes nothing."""
    try:
        path = expanded(path)
        if path.absolute().parent == path.absolute():
            raise BadPath("is the root of the file system")
        _check_new(path.absolute(), _ROOM)
        if path.exists() and not path.is_dir():
            raise BadPath("is a file, not a folder")
        if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
            raise BadPath("may not be written to")
    except BadPath as error:
        raise ConfigError(
            f"the output folder {shown(path)} cannot be made: it {error}; name another with --out"
        ) from None
    return path


def output_file(path: Path) -> Path:
    """The file to write, `~` expanded. Raises ConfigError where it can be neither replaced nor made; makes nothing."""
    try:
        path = expanded(path)
        _check_new(path.absolute(), 0)
        if path.exists() and not path.is_file():
            raise BadPath("is a folder, not a file" if path.is_dir() else "is no regular file")
    except BadPath as error:
        raise ConfigError(f"{shown(path)} cannot be written: it {error}; name another with --out") from None
    return path


def _check_new(path: Path, room: int) -> None:
    """What holds of files and folders: the name can be, and the nearest folder that exists may be written to.

    `path` is absolute; `room` are bytes to be kept for names within it.
    """
    if reason := why_no_path(path):
        raise BadPath(reason)
    if len(os.fsencode(path)) > _LONGEST_PATH - room:
        raise BadPath("is too long")
    if len(path.parts) > _DEEPEST:
        raise BadPath(f"lies more than {_DEEPEST} folders deep")
    above = path
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if above.is_symlink() and not os.path.exists(above):
        raise BadPath("is a link to nothing" if above == path else f"lies below {above}, a link to nothing")
    if above == path:
        return
    if not above.is_dir():
        raise BadPath(f"lies below {above}, which is no folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise BadPath(f"lies below {above}, which may not be written to")
