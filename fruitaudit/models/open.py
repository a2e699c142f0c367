"""Opens a model file with the backend that reads its kind."""

from __future__ import annotations

from pathlib import Path

from fruitaudit.errors import ModelError
from fruitaudit.models.base import Autoencoder, Shape, WithScores
from fruitaudit.models.memory import UNIT

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def open_model(
    path: Path,
    *,
    allow_code: bool = False,
    batch_size: int = UNIT,
    size: tuple[int, int] | None = None,
    memory: int | None = None,
    outputs: tuple[int, ...] | None = None,
) -> WithScores:
    """The model in a file or folder. `size` (height, width) is needed only where the model's input leaves it open.

    `memory`: the most bytes that it may take with one image; without it what the machine has. `outputs`: the only ones
    that are possible answers. Raises ConfigError where it takes more than the limit that was set, ModelError where no
    backend reads its kind, it cannot be loaded, is code that is not allowed, is larger than the machine, is no image
    classifier, or its outputs cannot be taken apart.
    """
    if path.is_dir() or path.suffix.lower() in KERAS_SUFFIXES:
        from fruitaudit.models.keras.classifier import open_classifier

        return open_classifier(
            path, allow_code=allow_code, batch_size=batch_size, size=size, memory=memory, outputs=outputs
        )
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file; check model.path")
    raise ModelError(f"{path}: a model is a .keras, .h5 or .hdf5 file or a SavedModel folder, not a "
                     f"{path.suffix or 'file without suffix'}; save it with model.save('model.keras')")  # fmt: skip


def code_in(path: Path) -> tuple[str, ...]:
    """Sentences about what would run if the model in this file were opened; none of it runs now.

    Raises ModelError for a file that is refused anyway.
    """
    from fruitaudit.models.keras.safety import inspect

    return inspect(path, allow_code=True).code


def open_autoencoder(path: Path, shape: Shape) -> Autoencoder:
    """Of images of this shape. The same one as long as the file does not change, so that it is compiled once.

    Loaded in safe mode. Raises ModelError for a file that cannot be, or is code.
    """
    from fruitaudit.models.keras.autoencoder import open_keras_autoencoder

    return open_keras_autoencoder(path, shape)
