"""Gradient ascent on pictures, many at once, each for a score of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.base import Shape
from fruitaudit.errors import CannotExplain, NoGradient
from fruitaudit.models.base import WithUnitGradients
from fruitaudit.models.layers import Convolution
from fruitaudit.records.data import Background, FloatArray, Images, IntArray


class ImageParameters(Protocol):
    """How pictures in 0..1 are made of the numbers that are changed. Arrays (U, ...) float32, U pictures."""

    def start(self, rng: np.random.Generator) -> FloatArray:
        """The numbers of one picture to begin with: nearly grey."""
        ...

    def picture(self, numbers: FloatArray) -> FloatArray:
        """(U, ...) -> (U, H, W, C) in 0..1."""
        ...

    def parameter_gradient(self, picture: FloatArray, gradient: FloatArray) -> FloatArray:
        """(U, H, W, C) gradients with respect to `picture` -> (U, ...) with respect to the numbers it is made of."""
        ...

    def project(self, numbers: FloatArray) -> None:
        """Put the numbers back, in place, to where they make a picture after a step."""
        ...


@dataclass(frozen=True)
class Pixels:
    """The numbers are the pixels; after each step they are cut to 0..1 (projected gradient)."""

    shape: Shape

    def start(self, rng: np.random.Generator) -> FloatArray:
        return (0.5 + 0.01 * rng.standard_normal(self.shape)).astype(np.float32)

    def picture(self, numbers: FloatArray) -> FloatArray:
        return numbers

    def parameter_gradient(self, picture: FloatArray, gradient: FloatArray) -> FloatArray:
        return gradient

    def project(self, numbers: FloatArray) -> None:
        np.clip(numbers, 0, 1, out=numbers)


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

    @cached_property
    def _gain(self) -> FloatArray:
        """(H, W // 2 + 1) what the amplitude of each frequency is multiplied by."""
        height, width, _ = self.shape
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
        gain = np.sqrt(height * width) / np.maximum(frequency, 1 / max(height, width))
        return (gain / 4).astype(np.float32)

    @cached_property
    def _gain_back(self) -> FloatArray:
        """The same on the way back: each frequency but the first, and the last of an even width, stands for two."""
        height, width, _ = self.shape
        twice = np.full(width // 2 + 1, 2.0)
        twice[[0, *([-1] if width % 2 == 0 else [])]] = 1
        return (self._gain * twice / (height * width)).astype(np.float32)

    def picture(self, numbers: FloatArray) -> FloatArray:
        height, width, channels = self.shape
        spectrum = np.empty((*numbers[:, 0].shape,), np.complex64)
        np.multiply(numbers[:, 0], self._gain, out=spectrum.real)
        np.multiply(numbers[:, 1], self._gain, out=spectrum.imag)
        waves = np.fft.irfft2(spectrum, (height, width)).reshape(-1, channels, height * width)
        # Channels first until here: a product over the last axis, of three numbers, takes several times as long.
        mixed = np.matmul(self.colours, waves)
        np.negative(mixed, out=mixed)
        # Past this the picture is 0 to the last digit of float32.
        np.exp(np.minimum(mixed, 80, out=mixed), out=mixed)
        mixed += 1
        np.reciprocal(mixed, out=mixed)
        return np.ascontiguousarray(mixed.swapaxes(1, 2)).reshape(-1, height, width, channels)

    def parameter_gradient(self, picture: FloatArray, gradient: FloatArray) -> FloatArray:
        height, width, channels = self.shape
        # Of the sigmoid, p (1 - p).
        slope = 1 - picture
        slope *= picture
        slope *= gradient
        channels_first = np.ascontiguousarray(slope.reshape(-1, height * width, channels).swapaxes(1, 2))
        waves = np.matmul(self.colours.T, channels_first).reshape(-1, channels, height, width)
        spectrum = np.fft.rfft2(waves)
        gradients = np.empty((len(picture), 2, *spectrum.shape[1:]), np.float32)
        np.multiply(spectrum.real, self._gain_back, out=gradients[:, 0])
        np.multiply(spectrum.imag, self._gain_back, out=gradients[:, 1])
        return gradients

    def project(self, numbers: FloatArray) -> None:
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

    def optimise(
        self,
        model: WithUnitGradients,
        images: Images,
        canvas: ImageParameters,
        units: Units,
        start: FloatArray,
        shifts: npt.NDArray[np.int32],
    ) -> FloatArray:
        """(U, H, W, C) model inputs, inside low..high: what U pictures, begun at `start` (U, ...), have become.

        `shifts` (steps, 2). Raises CannotExplain where no gradient reaches the pictures.
        """
        span = images.high - images.low
        share = (span / units.scale[:, None])[:, None, None, :]  # of d response / d input that is d score / d picture
        parameters, adam = start.copy(), Adam(self.step_size, np.zeros_like(start), np.zeros_like(start))
        for shift in shifts.tolist():
            picture = canvas.picture(parameters)
            shifted = np.roll(picture, shift, (1, 2)) if any(shift) else picture
            input_gradients = units.gradients(model, images.low + span * shifted)
            slope = np.roll(input_gradients, [-places for places in shift], (1, 2)) * share
            for row, image_row in zip(slope, picture, strict=True):  # one by one, so that each stays in the cache
                row -= self._penalty_gradient(image_row)
            adam.step(parameters, canvas.parameter_gradient(picture, slope))
            canvas.project(parameters)
        return np.clip(images.low + span * canvas.picture(parameters), images.low, images.high)

    def _penalty_gradient(self, picture: FloatArray) -> FloatArray:
        """(H, W, C) the gradient of the penalties of one picture."""
        height, width, channels = picture.shape
        rows = picture.reshape(height, width * channels)
        gradient = rows - np.float32(0.5)
        gradient *= 2 * self.l2 / picture.size
        for axis, distance in ((0, 1), (1, channels)):
            first, last = ((*[slice(None)] * axis, ends) for ends in (slice(None, -distance), slice(distance, None)))
            differences = np.sign(rows[last] - rows[first])
            differences *= self.total_variation / max(1, differences.size)
            gradient[last] += differences
            gradient[first] -= differences
        return gradient.reshape(picture.shape)


@dataclass(frozen=True)
class Units:
    """What U pictures are to excite: units of one convolution, or classes; `scale` (U,) > 0 is what counts as 1."""

    convolution: Convolution | None
    indices: IntArray
    scale: FloatArray

    def gradients(self, model: WithUnitGradients, values: FloatArray) -> FloatArray:
        """(U, H, W, C) d response of unit u / d image u."""
        try:
            return model.unit_gradients(values, self.convolution, self.indices)
        except NoGradient as error:
            raise CannotExplain(f"{error.why}, so that no input can be made up; use nearest_neighbours to see what the "
                                "model takes for alike") from error  # fmt: skip


@dataclass
class Adam:
    """Kingma, Ba 2014, algorithm 1, uphill, with the constants of the paper; moments (U, ...) are kept in place."""

    step_size: float
    mean: FloatArray
    square: FloatArray
    steps: int = 0

    def step(self, numbers: FloatArray, gradient: FloatArray) -> None:
        """Change the numbers in place."""
        self.steps += 1
        rate = self.step_size * math.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        # The paper's epsilon is beside the corrected root.
        epsilon = 1e-8 * math.sqrt(1 - 0.999**self.steps)
        # Row by row, so that what is worked on stays in the cache.
        for row, slope, mean, square in zip(numbers, gradient, self.mean, self.square, strict=True):
            mean += np.float32(0.1) * (slope - mean)
            square += np.float32(0.001) * (np.square(slope) - square)
            root = np.sqrt(square)
            root += epsilon
            np.divide(mean, root, out=root)
            root *= rate
            row += root
