"""Loads a model file with Keras, in safe mode unless the user allows its code."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.keras2 import operation_layers as _registered  # noqa: F401 - a translation names its layers
from fruitaudit.models.keras.keras2 import weights
from fruitaudit.models.keras.keras2.errors import INSTEAD, Untranslatable, refusal
from fruitaudit.models.keras.keras2.translate import Translation
from fruitaudit.models.keras.safety import Format, Inspection, inspect
from fruitaudit.models.keras.savedmodel import open_saved_model
from fruitaudit.runtime.hashes import sha256_of_file


@dataclass(frozen=True)
class LoadedNetwork:
    """A Keras model, and the file it came from."""

    network: Any
    path: Path
    format: Format
    sha256: str
    notes: tuple[str, ...] = ()


def load_network(path: Path, *, allow_code: bool, memory: int | None = None) -> LoadedNetwork:
    """Check the file, then let Keras load it. `memory`: see `inspect`. Raises ModelError in one sentence."""
    inspection = inspect(path, allow_code=allow_code, memory=memory)
    sha256 = sha256_of_file(path)
    version = inspection.keras_version
    notes = [f"trusted by the user: {reason}" for reason in inspection.code]
    if inspection.translation is not None:
        notes.append(f"translated from Keras {version or '2'}, read by Keras {keras.__version__}")
    elif version and version.split(".")[0] != keras.__version__.split(".")[0]:
        notes.append(f"saved by Keras {version}, read by Keras {keras.__version__}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if inspection.format == "savedmodel":
                network = open_saved_model(path)
            elif inspection.translation is not None:
                network = _of_keras2(path, inspection, inspection.translation)
            else:
                network = keras.models.load_model(path, compile=False, safe_mode=not inspection.code)
    except ModelError:
        raise
    # Keras raises whatever its classes raise; each of them means that this file cannot be read.
    except Exception as error:
        raise ModelError(_why(path, error, version)) from error
    return LoadedNetwork(network, path, inspection.format, sha256, tuple(notes))


def _of_keras2(path: Path, inspection: Inspection, translation: Translation) -> Any:
    network = keras.saving.deserialize_keras_object(translation.config, safe_mode=not inspection.code)
    try:
        weights.load(path, inspection.format, translation.original, network)
    except Untranslatable as error:
        raise refusal(path, inspection.keras_version, error) from error
    return network


def cause_of(error: Exception) -> str:
    """The first sentence of what Keras or TensorFlow says, on one line."""
    # Keras wraps the cause in the whole configuration, several times over.
    cause = re.sub(r"\s+", " ", str(error).split("Exception encountered:")[-1]).strip()
    return re.split(r"\. | Full object config| ?config=\{", cause)[0][:200].rstrip(" .:") or type(error).__name__


def _release(version: str) -> tuple[int, ...]:
    """(3, 15) of "3.15.1": files change from one minor version to the next."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _why(path: Path, error: Exception, version: str | None) -> str:
    cause = cause_of(error)
    if path.is_dir():
        return f"{path}: TensorFlow cannot load this SavedModel ({cause}); export it again with model.export(folder)"
    if version and version.startswith(("1.", "2.")):
        reader = f"Keras {keras.__version__}"
        return f"{path}: it was saved by Keras {version}, and {reader} cannot read it ({cause}); {INSTEAD}"
    if version and _release(version) > _release(keras.__version__):
        return (
            f"{path}: it was saved by Keras {version}, which is newer than the {keras.__version__} installed here "
            f"({cause}); install keras {version} or later, or save the model again with an older one"
        )
    return (
        f"{path}: Keras {keras.__version__} cannot load it ({cause}); save it again with model.save('model.keras'), or "
        "export it as a SavedModel where it was made and pass --allow-code"
    )
