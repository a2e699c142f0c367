"""The autoencoder that keeps counterfactuals near real images."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from fruitaudit.attribution.base import Model
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.graphs import batches_of, compiled
from fruitaudit.records.data import FloatArray, Images


def open_autoencoder(path: str, model: Model, images: Images) -> tuple[Any, FloatArray]:
    """The network, and what it makes of the images: (N, H, W, C) float32.

    Loaded in safe mode; raises ModelError for a file that cannot be, or is code. Raises CannotExplain where it does
    not take what the model takes, or answers in another range of numbers.
    """
    from fruitaudit.models.keras.backend import tf

    file = Path(path)
    network = _loaded(file, file.stat().st_mtime_ns if file.is_file() else 0)
    shape = _by(model.input_shape)

    def run(_: Model, values: Any) -> Any:
        return [tf.convert_to_tensor(network(values, training=False))]

    graph = compiled(model, ("autoencoder", network), run)
    try:
        made = batches_of(model, graph, images.values)[0].astype(np.float32)
    except (ValueError, tf.errors.OpError) as error:
        raise CannotExplain(f"the autoencoder {path} does not take the model's images of {shape}; train one on the "
                            "model's inputs") from error  # fmt: skip
    if made.shape != images.values.shape:
        raise CannotExplain(f"the autoencoder {path} turns images of {shape} into {_by(made.shape[1:])}; train one "
                            "that returns what it was given")  # fmt: skip
    reach = abs((made - images.low) / (images.high - images.low)).max()
    if not 0.02 < reach < 10:
        raise CannotExplain(f"the autoencoder {path} answers in {made.min():.4g} to {made.max():.4g}, while the "
                            f"model's inputs run from {images.low.min():.4g} to {images.high.max():.4g}; train one on "
                            "the model's inputs")  # fmt: skip
    return network, made


@functools.lru_cache(maxsize=2)
def _loaded(file: Path, changed: int) -> Any:
    """The network; the same one as long as the file does not change, so that graphs of it can be used again."""
    from fruitaudit.models.keras.load import load_network

    return load_network(file, allow_code=False).network


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
