"""A copy of a Keras network whose layers can be reinitialised, each by its own initializers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.heads import probe
from fruitaudit.runtime.streams import Streams

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier

Weights = list[npt.NDArray[Any]]


class ReinitialisableCopy:
    """Implements `models.copies.Reinitialisable`. The original network is never written to.

    One copy serves all steps, so that a method compiles its functions once. At every step the weights that were not
    reinitialised are compared with the original's, bit by bit. Raises CannotExplain where the network cannot be copied,
    or a layer cannot tell how it was initialized.
    """

    def __init__(self, classifier: Classifier, streams: Streams) -> None:
        self._trained_weights: Weights = [np.array(weight) for weight in classifier.network.weights]
        self._copy = copy_of(classifier)
        rows = _rows_by_layer(classifier)
        if not rows:
            raise CannotExplain("the network hides its weights, so that they cannot be drawn anew")
        self._fresh_weights: dict[int, npt.NDArray[Any]] = {}
        self._rows: dict[str, list[int]] = {}
        for path, (layer, own_rows) in reversed(rows.items()):
            self._rows[path] = list(own_rows)
            fresh = fresh_weights(layer, path, streams)
            self._fresh_weights |= {row: fresh[place] for row, place in own_rows.items()}

    @property
    def layers(self) -> Sequence[str]:
        """The layers with weights of their own, from the output to the input."""
        return tuple(self._rows)

    def reinitialised(self, layers: Sequence[str]) -> Classifier:
        """The copy with these layers reinitialised. Its last state is lost."""
        selected_rows = {row for path in layers for row in self._rows[path]}
        network = self._copy.network
        network.set_weights(
            [self._fresh_weights[i] if i in selected_rows else w for i, w in enumerate(self._trained_weights)]
        )
        for i, weight in enumerate(network.weights):
            if i not in selected_rows and not np.array_equal(np.array(weight), self._trained_weights[i]):
                raise AssertionError(f"weight {i} ({weight.path}) changed although its layer was to stay")
        return self._copy


def copy_of(classifier: Classifier) -> Classifier:
    """The same network with weights of its own; proven to give the same logits, bit by bit, on random images."""
    network = classifier.network
    try:
        twin = keras.models.clone_model(network)
        twin.set_weights(network.get_weights())
        copy = type(classifier)(twin, batch_size=classifier.batch_size, size=classifier.input_shape[:2])
    # Keras raises whatever a class raises whose configuration does not make the same class again.
    except Exception as error:
        kind = type(network).__name__
        raise CannotExplain(f"the network ({kind}) cannot be copied to draw its weights anew ({type(error).__name__}); "
                            "a Sequential or functional model can") from error  # fmt: skip
    values = probe(classifier.input_shape)
    if not np.array_equal(copy.logits(values), classifier.logits(values), equal_nan=True):
        raise CannotExplain("the copy of the network gives other logits than the network, so nothing can be learned "
                            "from changing it")  # fmt: skip
    return copy


def _rows_by_layer(classifier: Classifier) -> dict[str, tuple[Any, dict[int, int]]]:
    """By path, in running order: each layer with weights of its own; their rows in `network.weights`, and in its."""
    rows = {id(weight): row for row, weight in enumerate(classifier.network.weights)}
    layers: dict[str, tuple[Any, dict[int, int]]] = {}
    # Inner layers return before the layer around them, so that the outer one keeps only what is its own.
    for call in classifier.trace.done:
        weights = getattr(call.layer, "weights", ())
        own_rows = {rows.pop(id(weight)): place for place, weight in enumerate(weights) if id(weight) in rows}
        if own_rows:
            layers[call.path] = (call.layer, own_rows)
    if rows:
        raise CannotExplain("some of the network's weights belong to no layer, so that there is no initializer to "
                            "draw them anew")  # fmt: skip
    return layers


def fresh_weights(layer: Any, path: str, streams: Streams) -> Weights:
    """What the layer's own initializers give for its weights, in their order, with seeds of ours.

    The layer is built once more from its configuration; a seed written there is replaced, because it would give the
    very weights that training began with. Raises CannotExplain where that is not possible.
    """
    try:
        twin = type(layer).from_config(_reseeded(layer.get_config(), path, streams))
        twin.build_from_config(layer.get_build_config())
        fresh = [np.array(weight) for weight in twin.weights]
    except Exception as error:
        raise CannotExplain(f"layer {path} ({type(layer).__name__}) cannot be built anew from its configuration "
                            f"({type(error).__name__}), so that its weights cannot be drawn") from error  # fmt: skip
    if [w.shape for w in fresh] != [tuple(w.shape) for w in layer.weights]:
        raise CannotExplain(f"layer {path} ({type(layer).__name__}) has other weights when it is built anew")
    return fresh


def _reseeded(config: Any, path: str, streams: Streams) -> Any:
    """The configuration with every initializer's seed replaced by one drawn for this layer and initializer."""
    if isinstance(config, dict):
        reseeded = {key: _reseeded(value, f"{path}/{key}", streams) for key, value in config.items()}
        if "seed" in reseeded and "initializer" in path:
            reseeded["seed"] = streams.integer("trust", "redraw", path, bits=31)
        return reseeded
    return config
