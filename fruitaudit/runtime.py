"""Random streams, atomic files, versions and the cache of finished stages."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from fruitaudit.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Streams:
    """Random numbers that depend on (seed, purpose, sample) alone, never on order, batch size or other samples."""

    seed: int

    def rng(self, *purpose: str) -> np.random.Generator:
        """A generator of its own for this purpose, e.g. `rng("smoothgrad", sample_id)`."""
        return np.random.Generator(np.random.SFC64(self.integer(*purpose)))

    def integer(self, *purpose: str, bits: int = 64) -> int:
        """A seed for a library, 0 <= seed < 2**bits."""
        text = "\x1f".join((str(self.seed), *purpose))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") % 2**bits


def sha256_of(value: object) -> str:
    """Hex digest of a JSON-able value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hex digest of a file, or of all files of a folder with their relative names."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


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
    made = not out.exists()
    with _held(out):
        _refuse_foreign(out, owned)
        for left in out.glob(".staging-*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
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
            if made and not any(out.iterdir()):
                out.rmdir()


def _refuse_foreign(out: Path, owned: Sequence[str]) -> None:
    try:
        audited = "fruitaudit_version" in json.loads((out / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        audited = False
    there = [name for name in owned if os.path.lexists(out / name)]
    if there and not audited:
        raise ConfigError(f"the output folder {out} holds {there[0]}, which no audit wrote and this one would replace; "
                          "move it away, or name another folder with --out")  # fmt: skip


@contextmanager
def _held(out: Path) -> Iterator[None]:
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


@dataclass(frozen=True)
class StageCache:
    """Arrays of finished stages, named by a hash of all that went into them, so that a killed run resumes."""

    folder: Path

    def get_or_make(
        self, stage: str, key: object, make: Callable[[], dict[str, npt.NDArray[Any]]]
    ) -> tuple[dict[str, npt.NDArray[Any]], bool]:
        """The stage's arrays, and whether they came from the cache. An unreadable entry is made again."""
        path = self.folder / f"{stage}-{sha256_of(key)[:32]}.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                return dict(stored), True
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            arrays = make()
            write_arrays(path, arrays)
            return arrays, False

    def record(self, stage: str, key: object, kind: type[T], make: Callable[[], T]) -> tuple[T, bool]:
        """A record of finished work, kept as JSON: the very numbers that `make` returned, fresh or from the cache."""
        form = TypeAdapter(kind)
        arrays, cached = self.get_or_make(stage, key, lambda: {"record": np.array(form.dump_json(make()).decode())})
        return form.validate_json(str(arrays["record"])), cached


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose results the audit contains."""
    names = ("fruitaudit", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "pandas", "opencv-python-headless",
             "pillow", "scikit-image", "lime", "tf-keras-vis", "tf-explain")  # fmt: skip
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
