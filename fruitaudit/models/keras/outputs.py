"""A network with some of its outputs taken away: those classes are then no possible answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.backend import keras

_INSTEAD = "write outputs: all under model"


def restricted(network: Any, outputs: Sequence[int], n_outputs: int) -> Any:
    """A copy whose last dense layer has only these units: softmax over what is left, the logits themselves unchanged.

    Raises ModelError where the outputs are not those of a dense layer, or the network is no graph of layers.
    """
    last = _last_dense(network, n_outputs)

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config(config | {"units": len(outputs)} if layer is last else config)

    try:
        copy = keras.models.clone_model(network, clone_function=clone, recursive=True)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ModelError("outputs: labels needs a model that is a graph of layers, and this one is a class of its "
                         f"own; {_INSTEAD}") from error  # fmt: skip
    of_last = {id(weight) for weight in last.weights}
    weights = [np.asarray(w)[..., list(outputs)] if id(w) in of_last else np.asarray(w) for w in network.weights]
    copy.set_weights(weights)
    return copy


def _last_dense(network: Any, n_outputs: int) -> Any:
    weighted = [layer for layer in network._flatten_layers(include_self=False, recursive=True)
                if layer.weights and not getattr(layer, "layers", None)]  # fmt: skip
    if not weighted or not isinstance(weighted[-1], keras.layers.Dense) or weighted[-1].units != n_outputs:
        raise ModelError(f"outputs: labels needs a last dense layer with one unit for each class; {_INSTEAD}")
    return weighted[-1]
