"""Refuses weights that are no numbers.

A pass may hide them: compiled TensorFlow turns NaN in front of a ReLU into 0, and the answers are finite and all alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.backend import keras
from fruitaudit.runtime.text import shortened


def refuse_damaged(network: Any) -> None:
    """Raises ModelError with the first layer whose weights hold NaN or infinity."""
    for weight in network.weights:
        if "float" not in keras.backend.standardize_dtype(weight.dtype):
            continue
        finite = np.isfinite(keras.ops.convert_to_numpy(weight))
        if not finite.all():
            # A file of Keras 2 names the model too.
            path = str(getattr(weight, "path", weight.name)).removeprefix(f"{network.name}/")
            layer, _, name = path.rpartition("/")
            raise ModelError(f"the layer {shortened(layer or network.name)} is damaged: {finite.size - finite.sum():,} "
                             f"of {finite.size:,} numbers of its {shortened(name)[1:-1]} are NaN or infinite; copy the "
                             "file again, or train the model again")  # fmt: skip
