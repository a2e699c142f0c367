"""The cache of finished stages."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from fruitaudit.runtime.files import write_arrays
from fruitaudit.runtime.hashes import sha256_of

T = TypeVar("T")


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
