"""Files and folders that are there as a whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fruitaudit.errors import ConfigError


@contextmanager
def atomic(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; it takes the name `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def staged(out: Path, owned: Sequence[str] = ()) -> Iterator[Path]:
    """A folder to fill; what it holds replaces its namesakes in `out` when the block ends without an error.

    So a folder never holds half of one audit and half of another, and a failed run leaves the last report alone.
    `owned` are all names that an audit writes: those that this one did not write go, everything else stays. Raises
    ConfigError where `out` cannot be such a folder, holds one of these names from elsewhere, or is being filled by
    another audit.
    """
    is_new = not out.exists()
    with _lock(out):
        _refuse_foreign(out, owned)
        for leftover in out.glob(".staging-*"):  # of a run that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        staging, old = (Path(tempfile.mkdtemp(dir=out, prefix=".staging-")) for _ in range(2))
        try:
            yield staging
            for name in sorted({*owned, *(entry.name for entry in staging.iterdir())}):
                if os.path.lexists(out / name):
                    os.replace(out / name, old / name)
                if (staging / name).exists():
                    os.replace(staging / name, out / name)
        finally:
            for folder in (staging, old):
                shutil.rmtree(folder, ignore_errors=True)
            if is_new and not any(out.iterdir()):
                out.rmdir()


def _refuse_foreign(out: Path, owned: Sequence[str]) -> None:
    try:
        audited = "fruitaudit_version" in json.loads((out / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        audited = False
    existing = [name for name in owned if os.path.lexists(out / name)]
    if existing and not audited:
        raise ConfigError(f"the output folder {out} holds {existing[0]}, which no audit wrote and this one would "
                          "replace; move it away, or name another folder with --out")  # fmt: skip


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


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path, "w") as stream:
        stream.write(text)


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write an NPZ atomically; equal arrays give equal bytes."""
    with atomic(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
