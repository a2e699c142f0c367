"""Models in NumPy whose right explanations can be written down, and which count their passes as the contract says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fruitaudit.attribution.base import background_of
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import Background, Images
from fruitaudit.records.explanations import Targets
from fruitaudit.records.passes import LayerGradients, Passes

ROUNDING = float(np.finfo(np.float32).eps)
"""Of the difference of two float32 probabilities."""


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)


class Counting:
    """Counts passes and the size of every batch; subclasses give `_logits`, `_gradient` in float64."""

    offers = frozenset({"scores", "gradients"})

    def __init__(self, shape, n_classes, batch_size=64):
        self.input_shape, self.n_classes, self.batch_size = shape, n_classes, batch_size
        self.passes, self.batches = Passes(), []
        self.cam_layer = None

    def _count(self, values, **kind):
        assert values.shape[1:] == self.input_shape
        assert values.dtype == np.float32
        self.passes += Passes(**{name: len(values) for name in kind})
        self.batches.append(len(values))
        return values.astype(np.float64)

    def logits(self, values):
        return self._logits(self._count(values, forward=1)).astype(np.float32)

    def probabilities(self, values):
        return softmax(self._logits(self._count(values, forward=1)))

    def gradient(self, values, classes, explains="logit", *, against=None):
        assert explains == "logit"
        x = self._count(values, gradient=1)
        gradient = self._gradient(x, classes)
        return (gradient if against is None else gradient - self._gradient(x, against)).astype(np.float32)

    def layer_gradients(self, values, classes, layer, *, against=None):
        raise CannotExplain(f"no layer {layer}")


class Linear(Counting):
    """logit_k = w_k . x"""

    def __init__(self, shape=(12, 10, 3), n_classes=4, **more):
        super().__init__(shape, n_classes, **more)
        self.w = np.random.default_rng(1).normal(0, 0.1, (*shape, n_classes))

    def _logits(self, x):
        return np.tensordot(x, self.w, 3)

    def _gradient(self, x, classes):
        return np.moveaxis(self.w, -1, 0)[classes]


class Quadratic(Linear):
    """logit_k = w_k . x + q_k . x^2 / 2: the midpoint rule is exact on it with any number of steps."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.q = np.random.default_rng(2).normal(0, 0.1, self.w.shape)

    def _logits(self, x):
        return super()._logits(x) + np.tensordot(x**2, self.q, 3) / 2

    def _gradient(self, x, classes):
        return super()._gradient(x, classes) + x * np.moveaxis(self.q, -1, 0)[classes]


class Additive(Counting):
    """p_0 = 0.5 + sum_i a_i x_i in [0, 1], p_1 = 1 - p_0: probability adds up over pixels."""

    def __init__(self, shape=(12, 10, 3), **more):
        super().__init__(shape, 2, **more)
        a = np.random.default_rng(3).normal(0, 1, shape)
        self.a = 0.45 * a / abs(a).sum()

    def probabilities(self, values):
        p = 0.5 + np.tensordot(self._count(values, forward=1), self.a, 3)
        return np.stack([p, 1 - p], axis=1).astype(np.float32)


class AdditiveInSegments(Counting):
    """p_0 = 0.5 + the effects of the superpixels whose pixels are not black."""

    def __init__(self, segments, effects, channels=3):
        super().__init__((*segments.shape, channels), 2)
        self.segments, self.effects = segments, effects

    def probabilities(self, values):
        self._count(values, forward=1)
        visible = values.max(axis=-1) > 0
        p = 0.5 + sum(e * visible[:, self.segments == s].mean(axis=1) for s, e in enumerate(self.effects))
        return np.stack([p, 1 - p], axis=1).astype(np.float32)


class PlantedMask(Counting):
    """Looks at the mean of the pixels inside a mask and at nothing else."""

    def __init__(self, mask, channels=3, **more):
        super().__init__((*mask.shape, channels), 2, **more)
        self.mask = mask
        self.w = np.repeat(mask[..., None], channels, axis=-1) / mask.sum()

    def _logits(self, x):
        z = 4 * np.tensordot(x, self.w, 3)
        return np.stack([z, np.zeros_like(z)], axis=1)

    def _gradient(self, x, classes):
        return np.where(classes == 0, 4.0, 0.0)[:, None, None, None] * self.w


class Wavy:
    """A smooth score of all pixels together, so that no two tiles have the same effect."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.batch_size, self.n_classes = 64, 2
        self.w = np.random.default_rng(0).normal(0, 0.4, (*shape, 3))

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        hidden = np.tanh(np.tensordot(values.astype(np.float64), self.w, 3))
        p = 1 / (1 + np.exp(-hidden @ [1.0, -2.0, 0.5] - hidden.prod(axis=1)))
        return np.stack([1 - p, p], axis=1)


class SmallCnn(Counting):
    """early = relu(2x2 means . m), late = relu(2x2 means of early . n), logit = v . tanh(late): nothing is linear."""

    offers = Counting.offers | {"layer_gradients"}

    def __init__(self, shape=(12, 8, 3), n_classes=4, scale=1.0, **more):
        super().__init__(shape, n_classes, **more)
        rng = np.random.default_rng(4)
        height, width, channels = shape
        self.m = rng.normal(0, 1, (channels, 5))
        self.n = rng.normal(0, 1, (5, 6))
        self.v = rng.normal(0, scale, (height // 4, width // 4, 6, n_classes))
        self.cam_layer = "late"

    @staticmethod
    def _means(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))

    def _layers(self, x):
        early = np.maximum(self._means(x) @ self.m, 0)
        return early, np.maximum(self._means(early) @ self.n, 0)

    def _logits(self, x):
        return np.tensordot(np.tanh(self._layers(x)[1]), self.v, 3)

    def _back(self, late, classes):
        return np.moveaxis(self.v, -1, 0)[classes] * (1 - np.tanh(late) ** 2)

    @staticmethod
    def _unpool(g):
        return g.repeat(2, axis=1).repeat(2, axis=2) / 4

    def _gradients(self, x, classes):
        early, late = self._layers(x)
        g_late = self._back(late, classes)
        g_early = self._unpool((g_late * (late > 0)) @ self.n.T)
        return early, late, g_early, g_late

    def _gradient(self, x, classes):
        early, _, g_early, _ = self._gradients(x, classes)
        return self._unpool((g_early * (early > 0)) @ self.m.T)

    def layer_gradients(self, values, classes, layer, *, against=None):
        if layer not in ("early", "late"):
            raise CannotExplain(f"no layer {layer}")
        x = self._count(values, gradient=1)
        early, late, g_early, g_late = self._gradients(x, classes)
        scores = self._logits(x)[np.arange(len(x)), classes]
        if against is not None:
            _, _, rival_early, rival_late = self._gradients(x, against)
            g_early, g_late = g_early - rival_early, g_late - rival_late
            scores = scores - self._logits(x)[np.arange(len(x)), against]
        chosen = (early, g_early) if layer == "early" else (late, g_late)
        return LayerGradients(*(a.astype(np.float32) for a in (*chosen, scores)))


def some_images(shape, n=5, low=0.0, high=1.0, seed=0):
    """Blocks of random colour with a little noise, scaled to low..high; ids name the image, not its place."""
    rng = np.random.default_rng(seed)
    height, width, channels = shape
    blocks = rng.uniform(0.1, 0.9, (n, -(-height // 4), -(-width // 4), channels))
    unit = blocks.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width] + rng.uniform(-0.05, 0.05, (n, *shape))
    low, high = np.full(channels, low, np.float32), np.full(channels, high, np.float32)
    values = (low + unit * (high - low)).astype(np.float32)
    return Images(values, tuple(f"store/{seed}-{i}.png" for i in range(n)), low, high)


def with_background(method, images):
    """The images with as many reference images of their range as the method wants, 0..3 of each class."""
    n = background_of(method)
    if not n:
        return images
    low, high = (float(end[0]) for end in (images.low, images.high))
    values = some_images(images.values.shape[1:], n, low, high, seed=77).values
    ids = tuple(f"train/{i}.png" for i in range(n))
    return replace(images, background=Background(values, np.arange(n, dtype=np.int64) % 4, ids, 10 * n))


def quick(method, **options):
    """A method with the options that it registers as quick, but for these."""
    return method(**dict(method.registration.quick_options) | options)


def some_targets(n, n_classes):
    return Targets(np.arange(n, dtype=np.int64) % n_classes)


def assert_same_maps(method, maps, expected):
    """To 1e-5 of each map's own largest value. Maps of probabilities that hardly move are made of rounding errors."""
    floor = ROUNDING if method.registration.explains == "probability" else 0.0
    for n, (one, other) in enumerate(zip(maps, expected, strict=True)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * abs(other).max() + floor, err_msg=f"map {n}")
