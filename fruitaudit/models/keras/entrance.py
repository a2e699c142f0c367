"""What a network does to pixels before its first trained layer, measured on plain pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fruitaudit.models.keras import taps
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.graphs import compiled
from fruitaudit.models.keras.savedmodel import hides_layers
from fruitaudit.records.data import DoubleArray
from fruitaudit.records.inputs import Entrance

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier

_LEVELS = (0.0, 1.0, 2.0)
"""Of the plain pictures; three of them tell a straight line from a curve."""


def entrance_of(model: Classifier) -> Entrance | None:
    """Layers and operations alike, whatever they are called: Rescaling, Normalization, `x / 127.5 - 1`, `x[..., ::-1]`.

    None where layers are hidden, or where what happens to a pixel is no sum of its channels and a constant.
    """
    first = _first_trained(model.trace)
    whole_numbers = _declares_integers(model.network)
    n_channels = model.input_shape[2]
    plain = Entrance(np.eye(n_channels), np.zeros(n_channels), first.path if first else "", whole_numbers)
    if first is None or hides_layers(model.trace.done):
        return plain if whole_numbers else None
    answers = _on_plain_pictures(model, n_channels)
    if answers is None:
        return plain if whole_numbers else None
    offset, once, twice = answers[0], answers[1 : 1 + n_channels], answers[1 + n_channels :]
    size = np.abs(answers).max() or 1.0
    if not np.isfinite(answers).all() or np.abs(once - offset - (twice - once)).max() > 1e-3 * size:
        return plain if whole_numbers else None
    return Entrance((once - offset).T, offset, first.path, whole_numbers)


def _on_plain_pictures(model: Classifier, n_channels: int) -> DoubleArray | None:
    """(1 + 2C, D) a pixel in the middle of a black picture, and of pictures of one channel at two levels."""
    black = np.zeros(n_channels)
    pixels = np.stack([black, *(level * row for level in _LEVELS[1:] for row in np.eye(n_channels))])
    pictures = np.broadcast_to(pixels[:, None, None, :], (len(pixels), *model.input_shape)).astype(np.float32)
    [entering] = model.batched(compiled(model, "entrance", _entering), pictures)
    if entering.ndim == 4 and entering.shape[3] in (1, 3):
        middle = entering[:, entering.shape[1] // 2, entering.shape[2] // 2]
    elif entering.ndim == 2 and entering.shape[1] and entering.shape[1] % n_channels == 0:
        by_pixel = entering.reshape(len(pixels), -1, n_channels)
        middle = by_pixel[:, by_pixel.shape[1] // 2]
    else:
        return None
    return middle.astype(np.float64)


def _entering(model: Classifier, images: Any) -> Any:
    first = _first_trained(model.in_graph(images).trace)
    return (tf.cast(first.inputs[0], tf.float32),) if first else ()


def _first_trained(trace: taps.Trace) -> taps.Call | None:
    """The first layer with weights of its own, other than those of a Normalization."""
    prepared = {id(w) for call in trace.done if call.kind == "Normalization" for w in call.layer.weights}
    for call in trace.done:
        if call.inputs and any(id(w) not in prepared for w in getattr(call.layer, "weights", ())):
            return call
    return None


def _declares_integers(network: Any) -> bool:
    inputs = getattr(network, "inputs", None) or ()
    return any("int" in str(tensor.dtype) for tensor in inputs)
