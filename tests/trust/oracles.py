"""Models whose right explanation is known, and maps that are right, wrong and of chance."""

from __future__ import annotations

import numpy as np
from analytic_models import softmax

from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

SHAPE = (20, 16, 3)
STREAMS = Streams(5)


class Oracle:
    """logit_k = w_k . (x - grey), in NumPy, with the parts of `models.base.Model` that the tests of trust need."""

    batch_size = 32
    offers = frozenset({"scores", "gradients"})

    def __init__(self, w):
        self.w = np.asarray(w, np.float64)
        self.input_shape, self.n_classes = self.w.shape[1:], len(self.w)

    def logits(self, values):
        assert values.dtype == np.float32
        return np.tensordot(values.astype(np.float64) - 0.5, self.w, ([1, 2, 3], [1, 2, 3])).astype(np.float32)

    def probabilities(self, values):
        return softmax(self.logits(values))

    def gradient(self, values, classes, explains="logit"):
        return self.w[classes].astype(np.float32)


def linear(seed=1, n_classes=3):
    """Every pixel counts, each differently; smooth, so that neighbours do not cancel out."""
    from scipy.ndimage import gaussian_filter

    w = np.random.default_rng(seed).normal(size=(n_classes, *SHAPE))
    return Oracle(gaussian_filter(w, (0, 2, 2, 0)) * 1.5)


def planted():
    """Looks at a block and at nothing else: the more light there, the more it is class 0."""
    mask = np.zeros(SHAPE[:2], bool)
    mask[4:12, 3:9] = True
    w = np.zeros((2, *SHAPE))
    w[0] = np.where(mask[..., None], 6 / (mask.sum() * 3), 0)
    return Oracle(w), mask


def images(n=12, seed=0):
    """Blocks of random colour with noise, 0..1."""
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(0, 1, (n, 5, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    values = np.clip(blocks + rng.normal(0, 0.03, (n, *SHAPE)), 0, 1).astype(np.float32)
    return Images(values, tuple(f"t/{seed}-{i}.png" for i in range(n)), np.zeros(3, "f4"), np.ones(3, "f4"))


def lit(mask, n=12, seed=0):
    """Images that are bright inside the mask and dull outside."""
    photos = images(n, seed)
    values = np.where(mask[..., None], 0.75 + 0.25 * photos.values, 0.45 * photos.values).astype(np.float32)
    return Images(values, photos.sample_ids, photos.low, photos.high)


def perfect(model, photos, targets):
    """What each pixel adds to the logit, counted from grey: nothing else adds up to every change of a linear model."""
    return ((photos.values - 0.5) * model.gradient(photos.values, targets.classes)).sum(axis=-1).astype(np.float32)


def chance(photos, seed=0):
    return np.random.default_rng(seed).normal(size=photos.values.shape[:3]).astype(np.float32)


def predicted(model, photos):
    return Targets(model.logits(photos.values).argmax(axis=1).astype(np.int64))
