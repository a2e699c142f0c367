"""Gradient ascent on pictures, many at once, each for a score of its own: one compiled loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.base import Model, Shape
from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import InGraph
from fruitaudit.records.data import Background, FloatArray, Images

Score = Callable[[InGraph], Any]
"""In a graph: (U,) what is to grow, one for each picture of the batch."""


class Canvas(Protocol):
    """How pictures in 0..1 are made of the numbers that are changed."""

    def start(self, rng: np.random.Generator) -> FloatArray:
        """The numbers of one picture to begin with: nearly grey."""
        ...

    def picture(self, numbers: Any) -> Any:
        """In a graph: (U, ...) -> (U, H, W, C) in 0..1."""
        ...

    def keep(self, numbers: Any) -> None:
        """In a graph: put the numbers, a variable, back to where they make a picture after a step."""
        ...


@dataclass(frozen=True)
class Pixels:
    """The numbers are the pixels; after each step they are cut to 0..1 (projected gradient)."""

    shape: Shape

    def start(self, rng: np.random.Generator) -> FloatArray:
        return (0.5 + 0.01 * rng.standard_normal(self.shape)).astype(np.float32)

    def picture(self, numbers: Any) -> Any:
        return numbers

    def keep(self, numbers: Any) -> None:
        from fruitaudit.models.keras.backend import tf

        numbers.assign(tf.clip_by_value(numbers, 0.0, 1.0))


@dataclass(frozen=True)
class Fourier:
    """The numbers are amplitudes of waves, low frequencies larger, in colours as correlated as in real images.

    picture = sigmoid(irfft2(z / max(f, 1 / max(H, W))) M),  M M^T the covariance of colours of the reference images.
    Paper: Olah, Mordvintsev, Schubert 2017, Feature Visualization, doi:10.23915/distill.00007, "Preconditioning".
    Differs from the paper: M is taken from the reference images, not from ImageNet.
    """

    shape: Shape
    colours: FloatArray
    """M (C, C), its longest row of length 1."""

    def start(self, rng: np.random.Generator) -> FloatArray:
        height, width, channels = self.shape
        return (0.01 * rng.standard_normal((2, channels, height, width // 2 + 1))).astype(np.float32)

    def picture(self, numbers: Any) -> Any:
        from fruitaudit.models.keras.backend import tf

        height, width, _ = self.shape
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
        gain = np.sqrt(height * width) / np.maximum(frequency, 1 / max(height, width))
        # Unstacked: the gradient of a slice takes as long as that of the model.
        spectrum = tf.complex(*tf.unstack(numbers * np.float32(gain / 4), axis=1))
        waves = tf.transpose(tf.signal.irfft2d(spectrum, [height, width]), (0, 2, 3, 1))
        return tf.sigmoid(tf.matmul(waves, self.colours.T))

    def keep(self, numbers: Any) -> None:
        return


def colours_of(background: Background | None, images: Images) -> FloatArray:
    """M (C, C) for `Fourier`: a root of the covariance of the reference images' colours; the identity without any."""
    channels = len(images.low)
    if background is None or not len(background.values):
        return np.eye(channels, dtype=np.float32)
    pixels = ((background.values - images.low) / (images.high - images.low)).reshape(-1, channels).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False).reshape(channels, channels))
    root = vectors * np.sqrt(np.maximum(values, 1e-6))
    return (root / np.linalg.norm(root, axis=1).max()).astype(np.float32)


@dataclass(frozen=True)
class Ascent:
    """`steps` of Adam (Kingma, Ba 2014, arXiv:1412.6980) on score / scale - penalties.

    Each step shifts the pictures by up to `jitter` pixels, around the border, before the model sees them. The penalties
    are `total_variation` times the mean |difference of neighbours|, and `l2` times the mean squared distance from grey.
    """

    steps: int
    step_size: float
    jitter: int
    total_variation: float
    l2: float

    def shifts(self, rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """(steps, 2) down and right, the same for all pictures."""
        return rng.integers(-self.jitter, self.jitter + 1, (self.steps, 2)).astype(np.int32)

    def climb(
        self,
        model: Model,
        images: Images,
        canvas: Canvas,
        score: Score,
        start: FloatArray,
        shifts: npt.NDArray[np.int32],
        scale: FloatArray,
    ) -> FloatArray:
        """(U, H, W, C) model inputs, inside low..high: what U pictures, begun at `start` (U, ...), have become.

        `shifts` (steps, 2), `scale` (U,) > 0. Raises CannotExplain where no gradient reaches the pictures.
        """
        from fruitaudit.models.keras.backend import tf

        def feed(picture: Any) -> Any:
            return images.low + (images.high - images.low) * picture

        def step(shift: Any, t: Any) -> None:
            values = tf.identity(numbers)
            picture = canvas.picture(values)
            shown = feed(tf.roll(picture, shift, (1, 2)))
            [back] = tf.gradients(score(model.in_graph(shown)) / scale, shown)
            if back is None:
                raise CannotExplain("no gradient reaches the model's input, so that no input can be made up; use "
                                    "nearest_neighbours to see what the model takes for alike")  # fmt: skip
            [gradient] = tf.gradients([shown, picture], values, [back, -self._pull(picture)])
            tf.raw_ops.ResourceApplyAdam(
                var=numbers.handle,
                m=mean.handle,
                v=square.handle,
                grad=-gradient,
                lr=self.step_size,
                use_locking=False,
                beta1=0.9,
                beta2=0.999,
                beta1_power=0.9**t,
                beta2_power=0.999**t,
                epsilon=1e-8 * tf.sqrt(1 - 0.999**t),
            )
            canvas.keep(numbers)

        # Step by step from here: a loop of TensorFlow's own is slower.
        run = tf.function(step, autograph=False)
        numbers, mean, square = tf.Variable(start), tf.Variable(tf.zeros_like(start)), tf.Variable(tf.zeros_like(start))
        for i, shift in enumerate(shifts):
            run(tf.constant(shift), tf.constant(i + 1, tf.float32))
        made: FloatArray = feed(canvas.picture(numbers)).numpy()
        model.passes.gradient += len(start) * self.steps
        return np.clip(made, images.low, images.high)

    def _pull(self, picture: Any) -> Any:
        """In a graph: the gradient of the penalties, written out: TensorFlow's own takes ten times as long."""
        from fruitaudit.models.keras.backend import tf

        height, width, channels = picture.shape[1:]
        rows = tf.reshape(picture, (-1, height, width * channels))
        pull = (2 * self.l2 / math.prod(picture.shape[1:])) * (rows - 0.5)
        for axis, apart in ((1, 1), (2, channels)):
            first, last = ([slice(None)] * axis + [ends] for ends in (slice(None, -apart), slice(apart, None)))
            rises = tf.sign(rows[tuple(last)] - rows[tuple(first)])
            share = self.total_variation / max(1, math.prod(rises.shape[1:]))
            rises = tf.pad(share * rises, [[apart] * 2 if i == axis else [0, 0] for i in range(3)])
            pull += rises[tuple(first)] - rises[tuple(last)]
        return tf.reshape(pull, tf.shape(picture))
