"""Layers as plain records, whatever the backend: what each one is, and whose outputs it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fruitaudit.errors import CannotExplain

LayerRole = Literal["convolution", "normalization", "activation", "dense", "global average pooling", "other"]


@dataclass(frozen=True)
class Layer:
    """One layer of the network, nested ones included, as it is called in a pass."""

    path: str
    """Its name below the model, e.g. "mobilenet/Conv_1"."""
    kind: str
    """Its class, e.g. "Conv2D"."""
    role: LayerRole
    shape: tuple[int | None, ...]
    """Of the output, without the batch axis; () where there are several outputs."""
    input_shape: tuple[int | None, ...]
    """Of the first input, without the batch axis."""
    reads: tuple[str, ...]
    """Paths of the layers whose outputs it gets, each of a nested model and of its last layer."""
    activation: str
    """Name of the activation function that it applies last, "" without one."""

    @property
    def n_channels(self) -> int:
        return int(self.shape[-1] or 0) if self.shape else 0


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


def layer_at(layers: Sequence[Layer], path: str, hidden: str = "") -> Layer:
    """The layer of this path, or the only one of this name. Raises CannotExplain for any other."""
    matches = [layer for layer in layers if layer.path == path]
    matches = matches or [layer for layer in layers if layer.path.rsplit("/", 1)[-1] == path]
    if len(matches) != 1:
        raise CannotExplain(why_no_layer(layers, path, hidden))
    return matches[0]


def why_no_layer(layers: Sequence[Any], path: str, hidden: str = "") -> str:
    """Why none of these layers is the one that was named, and what to do; `hidden` says why none can be seen."""
    same = [layer.path for layer in layers if layer.path.rsplit("/", 1)[-1] == path]
    last_paths = ", ".join(layer.path for layer in layers[-6:])
    if hidden:
        return f"the model has no layer {path} that can be seen, only {last_paths}: {hidden}"
    if len(same) > 1:
        return f"the model has {len(same)} layers called {path}; name one of them: {', '.join(same[-6:])}"
    return f"the model has no layer {path} with one output; name one that it has, the last of which are {last_paths}"
