"""Methods of the tests: right, wrong, blind, unsteady. What is known of each must show on every axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from trust.oracles import STREAMS, perfect

from fruitaudit.attribution.base import Passes, Registration
from fruitaudit.records.explanations import Maps
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.controls import random_maps, sobel


def registration(**changes):
    """Of a method whose only options are those in `changes`, with another value each."""
    return Registration(
        "fake", "Fake", "gradient", "?", "none", explains="logit", channels="none", signed=True, needs=("gradients",),
        cost="1 gradient",
        sensitivity_options=tuple(changes.items()),
    )  # fmt: skip


class Fake:
    """Subclasses give `maps`."""

    registration: ClassVar[Registration] = registration()

    def __call__(self, model, images, targets, streams):
        return Maps(np.asarray(self.maps(model, images, targets, streams), np.float32))

    def model_passes(self, n_images, input_shape):
        return Passes(gradient=n_images)


@dataclass(frozen=True)
class Counting(Fake):
    """`maps` may be other ones at every call: `calls` counts them."""

    calls: ClassVar[int] = 0

    def __call__(self, *case):
        type(self).calls += 1
        return super().__call__(*case)


@dataclass(frozen=True)
class Edges(Fake):
    """Blind to the model."""

    def maps(self, model, images, targets, streams):
        return sobel(images)


@dataclass(frozen=True)
class Dice(Counting):
    """New noise at every call."""

    calls: ClassVar[int] = 0

    def maps(self, model, images, targets, streams):
        return np.random.default_rng(self.calls).normal(size=images.values.shape[:3])


@dataclass(frozen=True)
class Noise(Fake):
    """The same noise for the same image, seed and setting, whatever the model."""

    registration = registration(draw=1)
    gain: float = 1.0
    draw: int = 0

    def maps(self, model, images, targets, streams):
        return self.gain * (random_maps(images, Streams(streams.integer(str(self.draw)))) - 0.5)


@dataclass(frozen=True)
class Right(Fake):
    """What each pixel of a linear model adds to the logit; it promises to add up. `sign` -1 is the inverse."""

    registration = registration(gain=3.0)
    sign: float = 1.0
    gain: float = 1.0

    def maps(self, model, images, targets, streams):
        return self.sign * self.gain * perfect(model, images, targets)


@dataclass(frozen=True)
class Turning(Counting):
    """The right map when first asked, and its inverse of any other images."""

    calls: ClassVar[int] = 0

    def maps(self, model, images, targets, streams):
        return (1 if self.calls == 1 else -1) * perfect(model, images, targets)


@dataclass(frozen=True)
class TurningBySeed(Fake):
    """The right map, and its inverse with any seed but that of the tests."""

    def maps(self, model, images, targets, streams):
        return (1 if streams.seed == STREAMS.seed else -1) * perfect(model, images, targets)


@dataclass(frozen=True)
class TurningBySetting(Fake):
    """The right map, and its inverse with its other setting."""

    registration = registration(sign=-1.0)
    sign: float = 1.0

    def maps(self, model, images, targets, streams):
        return self.sign * perfect(model, images, targets)


@dataclass(frozen=True)
class Opposed(Fake):
    """The right map, and for images of the second half its magnitudes the other way round: unlike those alike."""

    def maps(self, model, images, targets, streams):
        right = perfect(model, images, targets)
        second = np.arange(len(right)) >= len(right) // 2
        return np.where(second[:, None, None], 1 / (abs(right) + 1e-3), right)


@dataclass(frozen=True)
class Filled(Fake):
    """One value everywhere, as text: "nan" too."""

    value: str

    def maps(self, model, images, targets, streams):
        return np.full(images.values.shape[:3], float(self.value))
