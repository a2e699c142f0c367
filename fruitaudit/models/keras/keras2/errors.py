"""What a file of Keras 2 holds that has no counterpart in Keras 3."""

from __future__ import annotations

from pathlib import Path

from fruitaudit.errors import ModelError

INSTEAD = (
    "export it as a SavedModel with the TensorFlow that made it (tf.saved_model.save(model, folder), TensorFlow 2.15 "
    "reads all files of Keras 2) and pass --allow-code"
)


class Untranslatable(Exception):
    """`str(error)` is the middle of a sentence."""


def refusal(path: Path, version: str | None, cause: object) -> ModelError:
    """The sentence about a file that stays closed."""
    return ModelError(f"{path}: it was saved by Keras {version or '2'}, and {cause}; {INSTEAD}")
