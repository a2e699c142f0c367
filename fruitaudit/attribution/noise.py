"""Gradients at noisy copies of the images: what SmoothGrad averages and VarGrad takes the variance of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fruitaudit.attribution.base import Model
from fruitaudit.attribution.passes import ahead, rows
from fruitaudit.attribution.scores import gradients_of
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime import Streams


def noisy_gradients(
    model: Model, images: Images, targets: Targets, streams: Streams, samples: int, noise: float
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Batches of gradients (B, H, W, C) at x + e, e ~ N(0, (noise * (x_max - x_min))^2), and the image of each.

    Every method gets the same copies of an image.
    """
    for image, noisy in ahead(_copies(images, streams, samples, noise, model.batch_size)):
        yield image, gradients_of(model, noisy, targets.select(image))


def _copies(
    images: Images, streams: Streams, samples: int, noise: float, batch_size: int
) -> Iterator[tuple[IntArray, FloatArray]]:
    deviation = (noise * (images.high - images.low)).astype(np.float32)
    # One generator an image, drawn from in the order of its samples: batches do not matter.
    generators = [streams.rng("smoothgrad", sample_id) for sample_id in images.sample_ids]
    for image, _ in rows(len(images), samples, batch_size):
        noisy = np.empty((len(image), *images.values.shape[1:]), np.float32)
        for row, i in enumerate(image):
            generators[i].standard_normal(out=noisy[row], dtype=np.float32)
        noisy *= deviation
        noisy += images.values[image]
        yield image, noisy
