"""Where the convolutions of a network are, and where each one's activation function is: in the layer or after it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fruitaudit.attribution.base import Layer, Model
from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import InGraph

AT_MOST = 8
"""So many convolutions are shown where nobody named any."""
_FUNCTIONS = re.compile(
    r"activation|p?relu6?|leakyrelu|s?elu|celu|gelu|silu|swish|sigmoid|tanh|softplus|softsign|hardsilu|hardswish"
    r"|hardsigmoid|hardtanh|mish|squareplus|sparseplus",
    re.IGNORECASE,
)
"""Layers and operations of Keras that are an activation function and nothing else."""
_ONE_OPERATION = {"Relu", "Relu6", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"}
"""Activation functions whose input is there in the graph, and need not be computed once more."""


@dataclass(frozen=True)
class Convolution:
    """One convolution with the normalization and the activation function that follow it, if any does."""

    layer: Layer
    before: str
    """Path of the layer whose output enters the activation function, "" where the convolution computes that itself."""
    after: str
    """Path of the layer whose output is shown."""
    activation: str
    """Name of the activation function, "" without one."""
    normalized: bool

    @property
    def path(self) -> str:
        return self.layer.path

    @property
    def fused(self) -> bool:
        """Whether the layer applies its activation function itself."""
        return bool(self.activation) and self.before == ""


def convolutions(model: Model) -> list[Convolution]:
    """All convolutions in running order. Raises CannotExplain where none is to be seen."""
    from fruitaudit.models.keras.backend import keras
    from fruitaudit.models.keras.savedmodel import HIDES, hides_layers

    kl = keras.layers
    kinds = kl.Conv2D, kl.DepthwiseConv2D, kl.SeparableConv2D, kl.Conv2DTranspose
    readers = defaultdict[int, list[Layer]](list)  # of each tensor, by its identity
    for layer in model.layers:
        for tensor in {id(tensor) for tensor in layer.inputs}:
            readers[tensor].append(layer)
    found = [_followed(layer, readers) for layer in model.layers if isinstance(layer.layer, kinds)]
    if not found:
        why = HIDES if hides_layers(model.layers) else "it has none that is a layer; use saliency or occlusion instead"
        raise CannotExplain(f"no convolution is to be seen in this model: {why}")
    return found


def chosen(model: Model, paths: Sequence[str] | None, at_most: int = AT_MOST) -> list[Convolution]:
    """The convolutions of these paths or names; None: all of them, `at_most` so many, evenly spread.

    Raises CannotExplain for a path that is no convolution's.
    """
    found = convolutions(model)
    if paths is None:
        return found if len(found) <= at_most else [found[i] for i in spread(len(found), at_most)]
    return [_named(found, path) for path in paths]


def spread(n: int, k: int) -> list[int]:
    """At most k of the indices 0..n - 1, evenly spread, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, k))} if k > 1 else {n - 1})


def tensors(called: InGraph, convolution: Convolution) -> tuple[Any, Any]:
    """In a graph: (before, after) the activation function, (N, h, w, K) float32; before is None without one."""
    from fruitaudit.models.keras.backend import keras, tf

    after = called.layer(convolution.after)
    if not convolution.activation:
        return None, tf.cast(after, tf.float32)
    if convolution.fused and not is_recomputed(convolution, after):
        before = after.op.inputs[0]
    elif convolution.fused:
        layer = convolution.layer.layer
        own, layer.activation = layer.activation, keras.activations.linear
        try:
            before = layer(called.input(convolution.path))
        finally:
            layer.activation = own
    else:
        before = called.layer(convolution.before)
    return tf.cast(before, tf.float32), tf.cast(after, tf.float32)


def is_recomputed(convolution: Convolution, after: Any) -> bool:
    """Whether `tensors` computes once more what enters the activation function, since the graph does not show it.

    Nor would it show that of a function or a layer of the user's own, which may end in a ReLU and do more before.
    """
    from fruitaudit.models.keras.backend import keras

    layer, known = convolution.layer.layer, getattr(keras.activations, convolution.activation or "-", None)
    own = layer.activation is not known or not type(layer).__module__.startswith("keras.")
    return convolution.fused and (own or after.op.type not in _ONE_OPERATION)


def activated(convolution: Convolution, before: Any) -> Any:
    """The activation function alone, on what `tensors` gave, to check it."""
    return convolution.layer.layer.activation(before)


def _followed(layer: Layer, readers: Mapping[int, Sequence[Layer]]) -> Convolution:
    own = getattr(getattr(layer.layer, "activation", None), "__name__", "linear")
    if own != "linear":
        return Convolution(layer, "", layer.path, own, normalized=False)
    last, normalized = layer, False
    while len(followers := readers.get(id(last.output), ())) == 1:
        [following] = followers
        if following.kind == "BatchNormalization":
            last, normalized = following, True
        elif _FUNCTIONS.fullmatch(following.kind):
            name = getattr(getattr(following.layer, "activation", None), "__name__", following.kind.lower())
            return Convolution(layer, last.path, following.path, name, normalized)
        else:
            break
    return Convolution(layer, "", last.path, "", normalized)


def _named(found: Sequence[Convolution], path: str) -> Convolution:
    exact = [c for c in found if c.path == path] or [c for c in found if c.path.rsplit("/", 1)[-1] == path]
    if len(exact) != 1:
        known = ", ".join(c.path for c in found[-6:])
        raise CannotExplain(f"the model has no convolution {path}; its last ones are {known}")
    return exact[0]
