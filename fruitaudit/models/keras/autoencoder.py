"""An autoencoder of images in a Keras file, as functions of arrays."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fruitaudit.models.base import Shape
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.load import load_network
from fruitaudit.records.data import FloatArray

BATCH = 64


def open_keras_autoencoder(path: Path, shape: Shape) -> KerasAutoencoder:
    """Of images of this shape. The same one as long as the file does not change, so that it is compiled once.

    Loaded in safe mode. Raises ModelError for a file that cannot be, or is code.
    """
    return _opened(path, path.stat().st_mtime_ns if path.is_file() else 0, shape)


@lru_cache(maxsize=2)
def _opened(path: Path, changed: int, shape: Shape) -> KerasAutoencoder:
    return KerasAutoencoder(load_network(path, allow_code=False).network, shape)


class KerasAutoencoder:
    """Implements `models.base.Autoencoder`."""

    def __init__(self, network: Any, shape: Shape) -> None:
        self.network, self.shape = network, shape

    def reconstructions(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> their reconstructions, float32. Raises ValueError where it takes other images."""
        starts = range(0, max(len(values), 1), BATCH)
        try:
            return np.concatenate([self._reconstruct(values[i : i + BATCH]).numpy() for i in starts])
        except tf.errors.OpError as error:
            raise ValueError(str(error)) from error

    def misfit_gradients(self, values: FloatArray, span: FloatArray) -> FloatArray:
        """(N, H, W, C) d |(AE(z) - z) / span|_2^2 / dz, span (C,)."""
        return np.asarray(self._gradients(values, span))

    @cached_property
    def _reconstruct(self) -> Any:
        return self._compiled(self._call)

    @cached_property
    def _gradients(self) -> Any:
        def gradients(values: Any, span: Any) -> Any:
            reconstruction = self._call(values)
            misfit = (reconstruction - values) * (2 / span**2)
            [gradient] = tf.gradients(reconstruction, values, misfit)
            return -misfit if gradient is None else gradient - misfit

        return self._compiled(gradients, tf.TensorSpec((None,), tf.float32))

    def _call(self, values: Any) -> Any:
        return tf.cast(tf.convert_to_tensor(self.network(values, training=False)), tf.float32)

    def _compiled(self, function: Any, *more: Any) -> Any:
        signature = [tf.TensorSpec((None, *self.shape), tf.float32), *more]
        return tf.function(function, input_signature=signature, autograph=False)
