"""Where the convolutions of a network are, and where each one's activation function is: in the layer or after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from fruitaudit.attribution.base import Model
from fruitaudit.errors import CannotExplain
from fruitaudit.models.layers import Convolution, Layer

AT_MOST = 8
"""So many convolutions are shown where nobody named any."""


def convolutions(model: Model) -> list[Convolution]:
    """All convolutions in running order. Raises CannotExplain where none is to be seen."""
    readers = defaultdict[str, list[Layer]](list)
    for layer in model.layers:
        for path in layer.reads:
            readers[path].append(layer)
    in_order = [_with_activation(layer, readers) for layer in model.layers if layer.role == "convolution"]
    if not in_order:
        why = model.hidden_layers or "it has none that is a layer; use saliency or occlusion instead"
        raise CannotExplain(f"no convolution is to be seen in this model: {why}")
    return in_order


def chosen(model: Model, paths: Sequence[str] | None, at_most: int = AT_MOST) -> list[Convolution]:
    """The convolutions of these paths or names; None: all of them, `at_most` so many, evenly spread.

    Raises CannotExplain for a path that is no convolution's.
    """
    candidates = convolutions(model)
    if paths is None:
        return candidates if len(candidates) <= at_most else [candidates[i] for i in spread(len(candidates), at_most)]
    return [_convolution_at(candidates, path) for path in paths]


def spread(n: int, k: int) -> list[int]:
    """At most k of the indices 0..n - 1, evenly spread, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, k))} if k > 1 else {n - 1})


def _with_activation(layer: Layer, readers: Mapping[str, Sequence[Layer]]) -> Convolution:
    if layer.activation:
        return Convolution(layer, "", layer.path, layer.activation, normalized=False)
    last, normalized = layer, False
    while len(followers := readers.get(last.path, ())) == 1:
        [follower] = followers
        if follower.role == "normalization":
            last, normalized = follower, True
        elif follower.role == "activation":
            return Convolution(layer, last.path, follower.path, follower.activation, normalized)
        else:
            break
    return Convolution(layer, "", last.path, "", normalized)


def _convolution_at(candidates: Sequence[Convolution], path: str) -> Convolution:
    matches = [c for c in candidates if c.path == path] or [c for c in candidates if c.path.rsplit("/", 1)[-1] == path]
    if len(matches) != 1:
        names = ", ".join(c.path for c in candidates[-6:])
        raise CannotExplain(f"the model has no convolution {path}; its last ones are {names}")
    return matches[0]
