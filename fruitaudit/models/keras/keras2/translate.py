"""A description of Keras 2 -> one of Keras 3. Nothing is built, and TensorFlow is not imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from fruitaudit.models.keras.keras2 import graph
from fruitaudit.models.keras.keras2.errors import Untranslatable, refusal

_PACKAGES = ("keras.engine", "keras.src.engine", "tf_keras", "tensorflow.python.keras")
"""Modules of models, which no Keras 3 has."""


class Translation(NamedTuple):
    """What a file of Keras 2 says of its model, and the same for Keras 3."""

    original: dict[str, Any]
    config: dict[str, Any]


def of_keras2(config: Any, version: str | None) -> bool:
    """Whether Keras 2 wrote a description, by its version, or where none is told by its form."""
    if version is not None:
        return version.startswith("2.")
    if not isinstance(config, dict):
        return False
    module = config.get("module")
    if module is not None:
        return str(module).startswith(_PACKAGES)
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    return isinstance(layers, list) and any(isinstance(layer, dict) and "module" not in layer for layer in layers)


def translate(path: Path, config: Any, version: str | None) -> Translation:
    """Raises ModelError in one sentence that says what to do."""
    try:
        return Translation(config, graph.model(config))
    except Untranslatable as error:
        raise refusal(path, version, error) from error
    # The description is the maker's: any list may be a number, any name a list.
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise refusal(path, version, "its description is not one that Keras 2 writes") from error
