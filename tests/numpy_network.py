"""A network in NumPy that offers all there is but rules for the way back: the smallest backend that can be."""

from __future__ import annotations

import math

import numpy as np
from analytic_models import Counting, softmax

from fruitaudit.models.base import (
    WithActivations,
    WithGradients,
    WithLayerGradients,
    WithScores,
    WithUnitGradients,
    WithWeights,
)
from fruitaudit.models.layers import Layer, layer_at
from fruitaudit.records.passes import AroundActivation, Forward, LayerGradients

PROTOCOLS = {
    "gradients": WithGradients,
    "activations": WithActivations,
    "layer_gradients": WithLayerGradients,
    "unit_gradients": WithUnitGradients,
    "weights": WithWeights,
}


def single(array):
    return np.asarray(array, np.float32)


class PooledCnn(Counting):
    """early = relu(2x2 means . m), late = relu(2x2 means of early . n), logits = mean over places of late . v."""

    offers = Counting.offers | {"activations", "layer_gradients", "unit_gradients", "weights"}
    cam_layer, hidden_layers = "late", ""
    sha256, device = "0" * 64, "NumPy"

    def __init__(self, shape=(12, 8, 3), n_classes=4, **more):
        super().__init__(shape, n_classes, **more)
        self.cam_layer = "late"
        rng = np.random.default_rng(4)
        height, width, channels = shape
        self.m, self.n = rng.normal(0, 1, (channels, 5)), rng.normal(0, 1, (5, 6))
        self.v = rng.normal(0, 1, (6, n_classes))
        half, quarter = (height // 2, width // 2, 5), (height // 4, width // 4, 6)
        self.layers = [
            Layer("early", "Conv2D", "convolution", half, shape, (), "relu"),
            Layer("late", "Conv2D", "convolution", quarter, half, ("early",), "relu"),
            Layer("pool", "GlobalAveragePooling2D", "global average pooling", (6,), quarter, ("late",), ""),
            Layer("dense", "Dense", "dense", (n_classes,), (6,), ("pool",), ""),
        ]

    def weights(self, layer):
        return {
            "early": (single(np.broadcast_to(self.m / 4, (2, 2, *self.m.shape))), None),
            "late": (single(np.broadcast_to(self.n / 4, (2, 2, *self.n.shape))), None),
            "dense": (single(self.v), None),
        }[layer]

    def scores(self, values):
        logits = self._logits(self._count(values, forward=1))
        return softmax(logits), single(logits)

    def forward(self, values, layers):
        found = self._run(self._count(values, forward=1))
        answers = (found["pool" if path is None else layer_at(self.layers, path).path] for path in layers)
        return Forward.of(softmax(found["dense"]), single(found["dense"]), *map(single, answers))

    def features(self, values, layer=None):
        return self.features_at(values, (layer,))[0]

    def features_at(self, values, layers):
        return [
            answer.reshape(len(values), math.prod(answer.shape[1:])) for answer in self.forward(values, layers).layers
        ]

    def channel_means(self, values, convolutions, *, magnitudes=False):
        found = self.forward(values, tuple(c.after for c in convolutions))
        means = (abs(answer).mean(axis=(1, 2)) if magnitudes else answer.mean(axis=(1, 2)) for answer in found.layers)
        return Forward.of(found.probabilities, found.logits, *means)

    def around_activations(self, values, convolutions, channels):
        found = self._run(self._count(values, forward=1))
        return [
            AroundActivation(single(found[f"before {c.path}"][..., k]), single(found[c.path][..., k]), 0.0)
            for c, k in zip(convolutions, channels, strict=True)
        ]

    def margin_gradients(self, values, classes, explains="logit"):
        x = self._count(values, gradient=1)
        logits, one, rows = self._logits(x), np.eye(self.n_classes), np.arange(len(x))
        scores = logits if explains == "logit" else softmax(logits).astype(np.float64)
        rivals = np.where(one[classes] > 0, -np.inf, scores).argmax(axis=1)
        weights = one[classes] - one[rivals]
        if explains == "probability":
            weights = sum(
                sign * scores[rows, k, None] * (one[k] - scores) for sign, k in ((1, classes), (-1, rivals))
            )  # fmt: skip
        return single(scores), single(self._down(self._run(x), "dense", weights)[None])

    def unit_gradients(self, values, convolution, units):
        x = self._count(values, gradient=1)
        found, rows = self._run(x), np.arange(len(x))
        if convolution is None:
            return single(self._down(found, "dense", np.eye(self.n_classes)[units])[None])
        answer = found[convolution.path]
        even = np.zeros_like(answer)
        even[rows, :, :, units] = 1 / answer[0, ..., 0].size
        silent = answer.mean(axis=(1, 2))[rows, units] <= 0
        passes = (answer > 0) | silent[:, None, None, None]
        return single(self._down(found, f"before {convolution.path}", even * passes)[None])

    def layer_gradients(self, values, classes, layer, *, against=None):
        return self.layer_gradients_at(values, classes, (layer,), against=against)[0]

    def layer_gradients_at(self, values, classes, layers, *, against=None):
        paths = [layer_at(self.layers, path).path for path in layers]
        found, weights = self._run(self._count(values, gradient=1)), np.eye(self.n_classes)[classes]
        if against is not None:
            weights = weights - np.eye(self.n_classes)[against]
        down, scores = self._down(found, "dense", weights), (found["dense"] * weights).sum(axis=1)
        return [LayerGradients(single(found[p]), single(down[p]), single(scores)) for p in paths]

    def _gradient(self, x, classes):
        return self._down(self._run(x), "dense", np.eye(self.n_classes)[classes])[None]

    def _logits(self, x):
        return self._run(x)["dense"]

    def _run(self, x):
        """What every layer answers, and what enters its activation function."""
        found = {}
        for path, weights in (("early", self.m), ("late", self.n)):
            n, h, w, c = x.shape
            found[f"before {path}"] = x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4)) @ weights
            x = found[path] = np.maximum(found[f"before {path}"], 0)
        found["pool"] = x.mean(axis=(1, 2))
        return found | {"dense": found["pool"] @ self.v}

    def _down(self, found, start, gradient):
        """The gradient at `start` handed down: by what it arrives at, None for the image."""
        down = {start: gradient}
        if start == "dense":
            places = found["late"].shape[1:3]
            down["late"] = np.broadcast_to((gradient @ self.v.T)[:, None, None] / np.prod(places), found["late"].shape)
        for path, below, weights in (("late", "early", self.n), ("early", None, self.m)):
            if path in down:
                down[f"before {path}"] = down[path] * (found[path] > 0)
            if f"before {path}" in down:
                down[below] = (down[f"before {path}"] @ weights.T).repeat(2, axis=1).repeat(2, axis=2) / 4
        return down


class Only:
    """A model of which no more is to be seen than these parts of the protocol."""

    def __init__(self, model, *parts):
        self.offers, self._model = frozenset(parts), model
        protocols = [PROTOCOLS[part] for part in parts if part in PROTOCOLS]
        self._names = {name for one in (WithScores, *protocols) for name in (*dir(one), *one.__annotations__)}

    def __getattr__(self, name):
        if name.startswith("_") or name not in self._names:
            raise AttributeError(f"{name} was not said to be needed")
        return getattr(self._model, name)
