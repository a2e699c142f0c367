"""Gradients at noisy copies of the images: SmoothGrad is their mean and VarGrad their variance."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fruitaudit.attribution.base import Model, Shape
from fruitaudit.attribution.passes import ahead, in_turn, rows, runs
from fruitaudit.attribution.scores import gradients_of
from fruitaudit.attribution.sharing import computed_once
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True)
class Moments:
    """Of the gradients at the noisy copies of each image: mean, and variance divided by n - 1; (N, H, W, C)."""

    mean: FloatArray
    variance: FloatArray


def moments(model: Model, images: Images, targets: Targets, streams: Streams, samples: int, noise: float) -> Moments:
    """Of the gradients at x + e, e ~ N(0, (noise * (x_max - x_min))^2), in logit per unit of model input.

    Every method gets the same copies of an image, and methods that share (`sharing`) the same gradients.
    """

    def compute() -> Moments:
        return _moments(model, images, targets, _copies(images, streams, samples, noise, model.batch_size), samples)

    label = f"gradients at {samples} copies with {noise:.0%} noise"
    return computed_once(label, compute, model, images, targets, samples, noise, streams.seed)


def _moments(
    model: Model, images: Images, targets: Targets, copies: Iterator[tuple[IntArray, FloatArray]], samples: int
) -> Moments:
    # Sums of what each gradient differs by from the first of its image: the variance is the same, and the digits of a
    # small one are kept.
    first = np.zeros_like(images.values)
    totals, squares = np.zeros((2, *images.values.shape))
    has_first = np.zeros(len(images), bool)
    for image, noisy in ahead(copies):
        gradients = gradients_of(model, noisy, targets.select(image))
        for i, variants in runs(image):
            if not has_first[i]:
                first[i], has_first[i] = gradients[variants.start], True
            total, square = np.zeros((2, *first[i].shape), np.float32)
            for gradient in gradients[variants]:  # one by one they stay in the cache: a third of the time
                difference = gradient - first[i]
                total += difference
                square += np.square(difference, out=difference)
            totals[i] += total
            squares[i] += square
    variance = np.maximum(squares - totals**2 / samples, 0) / max(samples - 1, 1)
    return Moments((first + totals / samples).astype(np.float32), variance.astype(np.float32))


def _copies(
    images: Images, streams: Streams, samples: int, noise: float, batch_size: int
) -> Iterator[tuple[IntArray, FloatArray]]:
    shape = images.values.shape[1:]
    # As long as an image: channels alone would be broadcast three numbers at a time.
    deviation = np.broadcast_to(noise * (images.high - images.low), shape).astype(np.float32, order="C")
    # One generator per image, drawn from in the order of its samples: batches do not matter.
    generators = [streams.rng("smoothgrad", sample_id) for sample_id in images.sample_ids]
    buffers = in_turn(batch_size, *shape)
    for image, _ in rows(len(images), samples, batch_size):
        noisy = next(buffers)[: len(image)]
        for copy, i in zip(noisy, image, strict=True):
            np.multiply(standard_normal(generators[i], shape), deviation, out=copy)
        for i, variants in runs(image):
            noisy[variants] += images.values[i]
        yield image, noisy


def standard_normal(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """Independent draws from N(0, 1), float32, each by 16 bits: a sixth of the time of NumPy's ziggurat."""
    size = math.prod(shape)
    bits = rng.bit_generator.random_raw(-(-size // 4)).view(np.uint16)  # four numbers from every draw
    return _slices().take(bits[:size]).reshape(shape)


@functools.cache
def _slices() -> FloatArray:
    """N(0, 1) in 65,536 slices that are equally likely: the median of each, stretched by 1e-5 to a variance of 1."""
    from scipy.special import ndtri

    medians = ndtri((np.arange(1 << 16) + 0.5) / (1 << 16))
    return (medians / medians.std()).astype(np.float32)
