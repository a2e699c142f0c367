"""Loads a model file with Keras, in safe mode unless the user trusts the file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fruitaudit.errors import ModelError
from fruitaudit.models.backend import keras
from fruitaudit.models.safety import Format, inspect
from fruitaudit.runtime import sha256_of_file


@dataclass(frozen=True)
class LoadedNetwork:
    """A Keras model, and the file it came from."""

    network: Any
    path: Path
    format: Format
    sha256: str
    notes: tuple[str, ...] = ()


def load_network(path: Path, *, trust: bool) -> LoadedNetwork:
    """Check the file, then let Keras load it. Raises ModelError in one sentence."""
    inspected = inspect(path, trust=trust)
    sha256 = sha256_of_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = keras.models.load_model(path, compile=False, safe_mode=not trust)
    return LoadedNetwork(network, path, inspected, sha256)
