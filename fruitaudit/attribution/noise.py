"""Gradients at noisy copies of the images: what SmoothGrad averages and VarGrad takes the variance of."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fruitaudit.attribution.base import Model, Shape
from fruitaudit.attribution.passes import ahead, rows, runs
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
    shape = images.values.shape[1:]
    # As long as an image: channels alone would be broadcast three numbers at a time.
    deviation = np.broadcast_to(noise * (images.high - images.low), shape).astype(np.float32)
    # One generator an image, drawn from in the order of its samples: batches do not matter.
    generators = [streams.rng("smoothgrad", sample_id) for sample_id in images.sample_ids]
    for image, _ in rows(len(images), samples, batch_size):
        noisy = np.stack([standard_normal(generators[i], shape) for i in image])
        noisy *= deviation
        for i, variants in runs(image):
            noisy[variants] += images.values[i]
        yield image, noisy


def standard_normal(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """Independent draws from N(0, 1), float32, by Box and Muller 1958: half the time of NumPy's ziggurat."""
    size = math.prod(shape)
    half = -(-size // 2)
    radius = np.sqrt(-2 * np.log(1 - rng.random(half, np.float32)))
    angle = rng.random(half, np.float32) * np.float32(2 * np.pi)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size].reshape(shape)
