"""Which layer of the network each layer of a description of Keras 2 became, and where its weights lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fruitaudit.models.keras.keras2.graph import MODELS
from fruitaudit.models.keras.keras2.names import Names, kind_of, layers_of, name_of

_SUBLAYERS = {
    "Bidirectional": ("forward_layer", "backward_layer"),
    "GRU": ("cell",),
    "LSTM": ("cell",),
    "MultiHeadAttention": ("_query_dense", "_key_dense", "_value_dense", "_output_dense"),
    "SimpleRNN": ("cell",),
    "TimeDistributed": ("layer",),
}
"""Attributes that hold layers, by the same names in Keras 2 and 3, in the order of their weights."""
_STATISTICS = {"count", "mean", "moving_mean", "moving_variance", "variance"}
"""Weights that no layer trains."""


@dataclass(frozen=True)
class Part:
    """A layer that has weights of its own, and no layers in it."""

    name: str
    """As in the file."""
    layer: Any
    """Of Keras 3."""

    @property
    def weights(self) -> list[Any]:
        """In the order in which Keras 2 and 3 create them."""
        return list(self.layer.weights)


@dataclass(frozen=True)
class Folders:
    """How a release of Keras 2 names the folders of the weights in a `.keras` file."""

    container: str
    """The folder that holds the layers of a model."""
    twice: bool
    """Whether a layer that has weights counts twice among those of its class, as in Keras 2.13 and before."""

    def of_model(self, described: dict[str, Any], network: Any, prefix: str = "") -> Iterator[tuple[str, Part]]:
        """The layers with the folder of their weights. Those of one class are numbered in each model."""
        used: dict[str, int] = {}
        for inner, layer in pairs(described, network):
            kind = _spelled(kind_of(inner))
            number = used.get(kind, 0)
            used[kind] = number + (2 if self.twice and layer.weights else 1)
            yield from self._of_layer(inner, layer, f"{prefix}{self.container}/{kind}{f'_{number}' if number else ''}")

    def _of_layer(self, described: dict[str, Any], layer: Any, folder: str) -> Iterator[tuple[str, Part]]:
        if kind_of(described) in MODELS:
            yield from self.of_model(described, layer, f"{folder}/")
            return
        sublayers = _sublayers(described, layer)
        for attribute, inner, sublayer in sublayers:
            yield from self._of_layer(inner, sublayer, f"{folder}/{attribute}")
        if not sublayers and layer.weights:
            yield f"{folder}/vars", Part(name_of(described), layer)


def ordered(described: dict[str, Any], layer: Any) -> tuple[list[tuple[Part, int]], list[tuple[Part, int]]]:
    """(part, index of its weight) of those that are trained, and of the others, as Keras 2 lists them."""
    trained: list[tuple[Part, int]] = []
    others: list[tuple[Part, int]] = []
    config = described.get("config")
    trainable = not isinstance(config, dict) or config.get("trainable") is not False
    if kind_of(described) in MODELS:
        inner = list(pairs(described, layer))
    else:
        inner = [(d, sublayer) for _, d, sublayer in _sublayers(described, layer)]
    for sub_described, sublayer in inner:
        more_trained, more_others = ordered(sub_described, sublayer)
        trained += more_trained
        others += more_others
    if not inner and kind_of(described) not in MODELS:
        part = Part(name_of(described), layer)
        for index, weight in enumerate(part.weights):
            (others if weight.name in _STATISTICS else trained).append((part, index))
    return (trained, others) if trainable else ([], trained + others)


def pairs(described: dict[str, Any], network: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """The layers of a model in the file, each with its layer in the network."""
    names, built = Names(), {layer.name: layer for layer in network.layers}
    for inner in layers_of(described):
        name = names.new(name_of(inner))
        if kind_of(inner) != "InputLayer":
            yield inner, built[name]


def _sublayers(described: dict[str, Any], layer: Any) -> list[tuple[str, dict[str, Any], Any]]:
    config = described.get("config")
    inner = config.get("layer") if isinstance(config, dict) else None
    found = []
    for attribute in _SUBLAYERS.get(kind_of(described), ()):
        # Only a layer that the file describes can be a model, or hold layers.
        has_own = isinstance(inner, dict) and attribute in ("layer", "forward_layer", "backward_layer")
        about = inner if has_own and inner else {"class_name": "Layer", "config": {"name": attribute}}
        found.append((attribute, about, getattr(layer, attribute)))
    return found


def _spelled(kind: str) -> str:
    """The class as Keras 2 spells it in paths, e.g. `separable_conv2d`."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", kind)
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return words if words[:1] != "_" else f"private{words}"
