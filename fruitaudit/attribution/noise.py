"""Gradients at noisy copies of the images: what SmoothGrad averages and VarGrad takes the variance of."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fruitaudit.attribution.base import Model, Shape
from fruitaudit.attribution.passes import ahead, in_turn, rows, runs
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
    deviation = np.broadcast_to(noise * (images.high - images.low), shape).astype(np.float32, order="C")
    # One generator an image, drawn from in the order of its samples: batches do not matter.
    generators = [streams.rng("smoothgrad", sample_id) for sample_id in images.sample_ids]
    space = in_turn(batch_size, *shape)
    for image, _ in rows(len(images), samples, batch_size):
        noisy = next(space)[: len(image)]
        for one, i in zip(noisy, image, strict=True):
            np.multiply(standard_normal(generators[i], shape), deviation, out=one)
        for i, variants in runs(image):
            noisy[variants] += images.values[i]
        yield image, noisy


def standard_normal(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """Independent draws from N(0, 1), float32, by Box and Muller 1958: a third of the time of NumPy's ziggurat."""
    size = math.prod(shape)
    half = -(-size // 2)
    bits = rng.bit_generator.random_raw(half).view(np.uint32)  # two numbers from every draw
    radius, angle = (part.astype(np.float32) for part in (bits[:half], bits[half:]))
    radius = np.sqrt(-2 * np.log((radius + np.float32(0.5)) * np.float32(2**-32)))
    angle *= np.float32(2 * np.pi * 2**-32)
    made = np.empty((2, half), np.float32)
    np.multiply(radius, np.cos(angle), out=made[0])
    np.multiply(radius, np.sin(angle), out=made[1])
    return made.ravel()[:size].reshape(shape)
