"""What a skin is made of, and the brushes that paint it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fruitaudit.demo.fruit.casting import Hit
from fruitaudit.demo.fruit.noise import solid_noise
from fruitaudit.records.data import FloatArray

Colour = tuple[int, ...]
"""Red, green, blue, 0..255."""


@dataclass(frozen=True)
class Surface:
    """What light meets at each of N points of a surface."""

    albedo: FloatArray
    """(N, 3) sRGB, 0..1."""
    height: FloatArray | float = 0.0
    """(N,) relief above the smooth surface, in body units."""
    gloss: FloatArray | float = 0.2
    """Strength of the highlight, 0..1."""
    polish: float = 30.0
    """Exponent of the highlight: 5 is a wide sheen, 100 a mirror-like dot."""
    fuzz: float = 0.0
    """Pale rim light of fine hair, 0..1."""
    shade: FloatArray | float = 1.0
    """(N,) light that reaches a hollow, 0..1."""


@dataclass(frozen=True)
class Canvas:
    """The points of one part to be painted, the specimen's own random numbers and its ripeness."""

    hit: Hit
    resolution: float
    """Pixels per unit of body length."""
    seed: int
    ripeness: float
    """-1 (unripe) .. 1 (overripe); 0 as in the lab."""

    @cached_property
    def quirks(self) -> FloatArray:
        """Ten standard normal numbers that make this specimen differ from its class, within 2 deviations."""
        return np.clip(np.random.Generator(np.random.SFC64(self.seed)).standard_normal(10), -2, 2).astype(np.float32)

    @property
    def up(self) -> FloatArray:
        """(N,) height on the axis in body units."""
        return self.hit.body[1]

    def haze(self, frequency: float, layer: int = 0) -> FloatArray:
        """(N,) smooth gradients, mean 0, deviation 1; layers are independent."""
        return solid_noise("haze", self.hit.body, frequency, self._offset(layer), self.resolution)

    def clouds(self, frequency: float, layer: int = 0) -> FloatArray:
        """(N,) ragged blotches, mean 0, deviation 1; layers are independent."""
        return solid_noise("clouds", self.hit.body, frequency, self._offset(layer), self.resolution)

    def blobs(self, frequency: float, layer: int = 0) -> FloatArray:
        """(N,) spots about 1/(10 frequency) apart, mean 0, deviation 1."""
        return solid_noise("blobs", self.hit.body, frequency, self._offset(layer), self.resolution)

    def streaks(self, frequency: float, length: float, layer: int = 0) -> FloatArray:
        """(N,) stripes from pole to pole, `length` times as long as wide."""
        around = self.hit.around
        points = np.stack([np.cos(around), self.hit.along / length, np.sin(around)])
        return solid_noise("clouds", points, frequency, self._offset(layer), self.resolution)

    def _offset(self, layer: int) -> FloatArray:
        return np.abs(np.roll(self.quirks, layer)[:3]) * np.float32(0.37) + np.float32(0.11 * layer)


Skin = Callable[[Canvas], Surface]


def wet(material: Surface, canvas: Canvas, wetness: float) -> Surface:
    """The same skin with drops on it: small lenses, each with its own highlight, on a darker and shinier ground."""
    if wetness <= 0:
        return material
    drops = step(2.2 - wetness, 2.6 - wetness, canvas.blobs(0.8, 7))
    albedo = material.albedo * (1 - 0.15 * wetness - 0.05 * drops)[:, None]
    return replace(
        material,
        albedo=albedo,
        height=material.height + 0.025 * drops,
        gloss=material.gloss + 0.15 * wetness + 0.7 * drops,
        polish=max(material.polish, 60.0),
        fuzz=material.fuzz * (1 - wetness),
    )


def paint(base: Colour, *strokes: tuple[Colour, FloatArray | float]) -> FloatArray:
    """(N, 3) colours: each stroke (colour, weight 0..1) laid over what is there."""
    albedo = np.asarray(base, np.float32) / np.float32(255)
    for colour, weight in strokes:
        over = np.clip(np.atleast_1d(np.asarray(weight, np.float32)), 0, 1)[:, None]
        albedo = albedo + (np.asarray(colour, np.float32) / np.float32(255) - albedo) * over
    return albedo


def step(low: float, high: float, x: FloatArray | float) -> FloatArray:
    """0 below `low`, 1 above `high` (or the reverse, where `low` > `high`), smooth between."""
    t = np.clip((np.asarray(x, np.float32) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
