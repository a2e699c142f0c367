"""A photograph before it is taken: a record of all that may differ between the lab and the store."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from fruitaudit.runtime.streams import Streams

Backdrop = Literal["white", "crate", "paper", "shelf", "fruit", "tiles", "cardboard"]
Clutter = Literal["none", "hand", "board", "tag"]
BACKGROUNDS: tuple[Backdrop, ...] = get_args(Backdrop)
CLUTTERS: tuple[Clutter, ...] = get_args(Clutter)


@dataclass(frozen=True)
class Light:
    """A lamp, and light from all around."""

    intensity: float = 1.0
    """Exposure; 1 shows white as white."""
    warmth: float = 0.0
    """-1 (bluish neon) .. 0 (daylight) .. 1 (light bulb)."""
    direction: tuple[float, float, float] = (-0.35, 0.6, 0.72)
    """Towards the lamp: x right, y up, z to the camera; any length."""
    hardness: float = 0.4
    """Share of the light that comes from the lamp, 0..1."""


@dataclass(frozen=True)
class Scene:
    """One photograph of one class. Every field with a default is a factor, and the default is its value in the lab.

    Rendering is a function of this record alone, and each factor draws from a random stream of its own: two scenes
    that differ in one factor give pictures that differ in it alone.
    """

    class_name: str
    seed: int
    """Makes the specimen, and whatever else is random in the picture, each in its own stream."""
    angles: tuple[float, float, float]
    """Degrees: spin about the fruit's axis, tilt of its stem towards the camera, roll in the picture."""
    background: Backdrop = "white"
    light: Light = Light()
    blur: float = 0.0
    """Standard deviation in hundredths of the picture's side."""
    wetness: float = 0.0
    """0 dry .. 1 covered with drops."""
    ripeness: float = 0.0
    """-1 unripe .. 1 overripe."""
    scale: float = 1.0
    """Size; at 1 the fruit fills 94 % of the picture."""
    position: tuple[float, float] = (0.0, 0.0)
    """Offset of the fruit to the right and up, in sides of the picture."""
    fruits: int = 1
    """Fruits of the class in the picture, at least 1."""
    clutter: Clutter = "none"
    """What partly covers the fruit."""
    noise: float = 0.0
    """Standard deviation of the sensor's noise, in 1/255."""
    jpeg: int = 100
    """Quality 1..100; 100 is not compressed."""

    def with_lab(self, *factors: str) -> Scene:
        """The same scene with these factors as in the lab; raises KeyError for what is no factor."""
        return replace(self, **{factor: LAB[factor] for factor in factors})


LAB: dict[str, Any] = {field.name: field.default for field in fields(Scene)[3:]}
"""Factor -> its value in the lab."""
FACTORS = tuple(LAB)


def lab_scene(class_name: str, split: str, index: int, seed: int) -> Scene:
    """Picture `index` of a class and lab split: one fruit on white under even light, any angle."""
    rng = Streams(seed).rng("lab", split, class_name, str(index))
    return Scene(class_name, _object_seed(rng), _any_angle(rng))


def store_scene(class_name: str, index: int, seed: int) -> Scene:
    """Photo `index` of a class in the store."""

    def rng(factor: str) -> np.random.Generator:
        return Streams(seed).rng("store", class_name, str(index), factor)

    few = rng("crowd").random() < 0.3
    x, y = rng("position").uniform(-0.12, 0.12, 2)
    return Scene(
        class_name,
        _object_seed(rng("seed")),
        _any_angle(rng("angles")),
        background=BACKGROUNDS[rng("background").integers(1, len(BACKGROUNDS))],
        light=_store_light(rng("light")),
        blur=float(rng("blur").choice([0.0, 0.3, 0.6, 0.9])),
        wetness=float(max(rng("wetness").uniform(-0.6, 1.0), 0.0)),
        ripeness=float(rng("ripeness").uniform(-0.85, 0.85)),
        scale=float(rng("scale").uniform(0.48, 0.75) if few else rng("scale").uniform(0.36, 0.56)),
        position=(float(x), float(y)),
        fruits=int(rng("fruits").integers(1, 3) if few else rng("fruits").integers(4, 10)),
        clutter=CLUTTERS[rng("clutter").choice(len(CLUTTERS), p=(0.4, 0.2, 0.2, 0.2))],
        noise=float(rng("noise").uniform(1, 7)),
        jpeg=int(rng("jpeg").integers(55, 90)),
    )


def _store_light(rng: np.random.Generator) -> Light:
    side, height = rng.uniform(-1, 1), rng.uniform(0.2, 1)
    return Light(
        intensity=float(rng.uniform(0.42, 1.1)),
        warmth=float(rng.uniform(-0.5, 1.0)),
        direction=(float(side), float(height), float(rng.uniform(0.25, 0.8))),
        hardness=float(rng.uniform(0.4, 0.85)),
    )


def _object_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _any_angle(rng: np.random.Generator) -> tuple[float, float, float]:
    """Every orientation equally likely."""
    spin, roll = rng.uniform(0, 360, 2)
    return float(spin), float(np.degrees(np.arcsin(rng.uniform(-1, 1)))), float(roll)
