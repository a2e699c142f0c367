"""A folder whose contents are exchanged as a whole: whoever is killed leaves the old ones or the new ones."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fruitaudit.errors import ConfigError
from fruitaudit.runtime.files import write_text
from fruitaudit.runtime.paths import output_folder

_PATTERN = ".staging-*"
_READY = "ready.json"
"""Stands in a staging folder from the moment when it is whole: the names that it brings, and those that go."""


@contextmanager
def staged(out: Path, owned: Sequence[str] = (), is_ours: Callable[[Path], bool] = lambda out: True) -> Iterator[Path]:
    """A folder to fill; what it holds replaces its namesakes in `out` when the block ends without an error.

    So a folder never holds half of one audit and half of another, and a failed run leaves the last report alone. A
    process that is killed before the block ends changes nothing in `out`; where it is killed later, `finish` does the
    rest. `owned` are all names that may be written: those that were not written this time go, everything else stays.
    Raises ConfigError where `out` cannot be such a folder, is being filled by another process, or holds one of these
    names and is not `is_ours`.
    """
    output_folder(out)
    is_new = not out.exists()
    with _lock(out):
        _finish(out)
        _refuse_foreign(out, owned, is_ours)
        for leftover in out.glob(_PATTERN):  # of a run that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(dir=out, prefix=_PATTERN.rstrip("*")))
        new = staging / "new"
        new.mkdir()
        try:
            yield new
            names = sorted(entry.name for entry in new.iterdir())
            plan = {"new": names, "gone": sorted(set(owned) - set(names))}
            write_text(staging / _READY, json.dumps(plan))
            _finish(out)
        finally:
            if not (staging / _READY).exists():
                shutil.rmtree(staging, ignore_errors=True)
            if is_new and not any(out.iterdir()):
                out.rmdir()


def finish(out: Path) -> None:
    """Complete an exchange that was killed. Raises ConfigError where another process is at it."""
    if any(out.glob(f"{_PATTERN}/{_READY}")):
        with _lock(out):
            _finish(out)


def _finish(out: Path) -> None:
    """Each step can be done again: it asks what is still to be moved."""
    for ready in out.glob(f"{_PATTERN}/{_READY}"):
        plan, new, old = _plan(ready), ready.parent / "new", ready.parent / "old"
        old.mkdir(exist_ok=True)
        for name in (*plan["new"], *plan["gone"]):
            to_come = os.path.lexists(new / name)
            if os.path.lexists(out / name) and (to_come or name in plan["gone"]):
                _remove(old / name)
                os.replace(out / name, old / name)
            if to_come:
                os.replace(new / name, out / name)
        ready.unlink()
        shutil.rmtree(ready.parent, ignore_errors=True)


def _plan(ready: Path) -> dict[str, list[str]]:
    """What is to be moved. Raises ConfigError for what no exchange writes: a folder from elsewhere may hold anything,
    and names that lead out of it would move and remove files that are not its own.
    """
    folder = ready.parent
    try:
        plan = json.loads(ready.read_text(encoding="utf-8"))
        whole = set(plan) == {"new", "gone"} and all(_is_name(name) for names in plan.values() for name in names)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole or any(path.is_symlink() for path in (folder, folder / "new", folder / "old", ready)):
        raise ConfigError(f"{folder} is no exchange that an audit began: remove it, and do not trust the folder it is "
                          "in if it is not your own")  # fmt: skip
    return plan


def _is_name(name: object) -> bool:
    return isinstance(name, str) and "\0" not in name and name not in ("", ".", "..") and "/" not in name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _refuse_foreign(out: Path, owned: Sequence[str], is_ours: Callable[[Path], bool]) -> None:
    existing = [name for name in owned if os.path.lexists(out / name)]
    if existing and not is_ours(out):
        raise ConfigError(f"the output folder {out} holds {existing[0]}, which fruitaudit did not write and "
                          "would replace; move it away, or name another folder with --out")  # fmt: skip


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    """Make the folder and keep other audits out of it; the system lets go of it when the process ends, however."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(
            f"the output folder {out} cannot be made: {error.strerror}; name another with --out"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ConfigError(
            f"another audit is writing to {out}; wait for it, or name another folder with --out"
        ) from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(handle)
