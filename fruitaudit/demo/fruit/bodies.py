"""The shapes of the sixteen classes: contours turned about the axis, grooves and ribs, stems and calyxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

from fruitaudit.demo.fruit import contours
from fruitaudit.demo.fruit.contours import Contour
from fruitaudit.demo.fruit.star import Star
from fruitaudit.demo.fruit.tube import Tube
from fruitaudit.records.data import FloatArray

N_POLAR, N_AROUND = 97, 192


@dataclass(frozen=True)
class BodyPart:
    """A shape and the name of the skin that covers it."""

    shape: Star | Tube
    skin: str


def extent(parts: tuple[BodyPart, ...], turn: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest (x, y) in view coordinates of a turned fruit."""
    low, high = np.full(2, np.inf, np.float32), np.full(2, -np.inf, np.float32)
    for part in parts:
        points, margin = part.shape.outline()
        flat = points @ turn.T[:, :2]
        low = np.minimum(low, (flat - margin).min(axis=0))
        high = np.maximum(high, (flat + margin).max(axis=0))
    return low, high


def build(class_name: str, rng: np.random.Generator) -> tuple[BodyPart, ...]:
    """The parts of one specimen of a class; `rng` makes it lean and bulge as no other does."""
    return _BUILDERS[class_name](rng)


def _star(contour: Contour, rng: np.random.Generator, uneven: float = 0.02) -> Star:
    """A turned contour, stretched by up to 4 % and bulging by `uneven` of its radius."""
    polar, around = _grid()
    amounts = rng.normal(0, uneven, 3)
    phases = rng.uniform(0, 2 * np.pi, 3)
    bulge = sum(
        a * np.cos(k * around - p) * np.sin(polar) ** k for k, (a, p) in enumerate(zip(amounts, phases, strict=True), 1)
    )
    stretch = 1 + np.clip(rng.normal(0, 0.02), -0.04, 0.04) * np.cos(polar) ** 2
    return Star((_profile(contour) * stretch * (1 + bulge)).astype(np.float32))


@cache
def _profile(contour: Contour) -> FloatArray:
    """Distance from the centre at each polar angle, a smooth curve through the contour's points."""
    points = np.array(contour)
    angle = np.arctan2(points[:, 0], points[:, 1])
    return CubicSpline(angle, np.hypot(points[:, 0], points[:, 1]), bc_type="clamped")(_grid()[0])


def _carve(star: Star, factor: FloatArray) -> Star:
    return Star((star.table * factor).astype(np.float32))


@cache
def _grid() -> tuple[FloatArray, FloatArray]:
    polar = np.linspace(0, np.pi, N_POLAR, dtype=np.float32)[:, None]
    around = np.linspace(0, 2 * np.pi, N_AROUND, endpoint=False, dtype=np.float32)[None]
    return polar, around


def _suture(depth: float) -> FloatArray:
    """The groove of a stone fruit, from stem to tip along one meridian."""
    polar, around = _grid()
    off = (around + np.pi) % (2 * np.pi) - np.pi
    return 1 - depth * np.exp(-((off / 0.17) ** 2)) * np.sqrt(np.maximum(np.sin(polar), 0))


def _ribs(n: int, depth: float, where: float, phase: float) -> FloatArray:
    """`n` furrows from one pole that fade towards polar angle `where` (0: stem end, pi: other end)."""
    polar, around = _grid()
    near = np.exp(-(((polar - where) / 0.75) ** 2)) * np.sin(polar)
    return 1 - depth * near * (0.5 + 0.5 * np.cos(n * around + phase)) ** 2


def rod(points: list[tuple[float, float, float]], radii: list[float], n: int) -> Tube:
    """A tube along the Bezier curve of a few control points."""
    t = np.linspace(0, 1, n)[:, None]
    degree = len(points) - 1
    path = sum(comb(degree, k) * t**k * (1 - t) ** (degree - k) * np.array(point) for k, point in enumerate(points))
    return Tube(path.astype(np.float32), np.interp(t[:, 0], np.linspace(0, 1, len(radii)), radii).astype(np.float32))


def _stem(base: float, length: float, thick: float, rng: np.random.Generator, skin: str = "wood") -> BodyPart:
    """A woody stalk that rises from height `base` on the axis, leans and thickens at its end."""
    lean, way = rng.uniform(0.1, 0.35), rng.uniform(0, 2 * np.pi)
    x, z = lean * length * np.cos(way), lean * length * np.sin(way)
    points = [(0, base, 0), (0.2 * x, base + 0.5 * length, 0.2 * z), (x, base + length, z)]
    return BodyPart(rod(points, [thick, 0.75 * thick, 1.2 * thick], 14), skin)


def _apple(contour: Contour, lobes: float) -> Callable[[np.random.Generator], tuple[BodyPart, ...]]:
    def make(rng: np.random.Generator) -> tuple[BodyPart, ...]:
        body = _carve(_star(contour, rng, 0.018), _ribs(5, lobes, np.pi, rng.uniform(0, 6)))
        base = float(body.table[0, 0])
        return BodyPart(body, "skin"), _stem(base - 0.04, rng.uniform(0.4, 0.6), 0.048, rng)

    return make


def _round(contour: Contour, button: float, uneven: float) -> Callable[[np.random.Generator], tuple[BodyPart, ...]]:
    """Citrus: a turned body and, where the stalk was, a green button of radius `button`."""

    def make(rng: np.random.Generator) -> tuple[BodyPart, ...]:
        body = _star(contour, rng, uneven)
        top = float(body.table[0, 0])
        knob = rod([(0, top - 0.03, 0), (0, top, 0), (0, top + 0.03, 0)], [button, button, 0.6 * button], 5)
        return BodyPart(body, "skin"), BodyPart(knob, "button")

    return make


def _stone(groove: float, uneven: float) -> Callable[[np.random.Generator], tuple[BodyPart, ...]]:
    def make(rng: np.random.Generator) -> tuple[BodyPart, ...]:
        return (BodyPart(_carve(_star(contours.STONE_FRUIT, rng, uneven), _suture(groove)), "skin"),)

    return make


def _avocado(rng: np.random.Generator) -> tuple[BodyPart, ...]:
    body = _star(contours.AVOCADO, rng, 0.02)
    top = float(body.table[0, 0])
    return BodyPart(body, "skin"), BodyPart(rod([(0, top - 0.05, 0), (0, top + 0.05, 0)], [0.1, 0.08], 5), "wood")


def _mango(rng: np.random.Generator) -> tuple[BodyPart, ...]:
    """Flattened, its beak to one side."""
    polar, around = _grid()
    side = 1 - 0.09 * np.cos(2 * around) * np.sin(polar) ** 2 + 0.1 * np.sin(around) * np.sin(polar) * np.cos(polar)
    body = _carve(_star(contours.MANGO, rng, 0.015), side)
    top = float(body.table[0, 0])
    return BodyPart(body, "skin"), BodyPart(rod([(0, top - 0.06, 0), (0, top + 0.04, 0)], [0.09, 0.06], 5), "wood")


def _pear(rng: np.random.Generator) -> tuple[BodyPart, ...]:
    body = _star(contours.PEAR, rng, 0.02)
    return BodyPart(body, "skin"), _stem(float(body.table[0, 0]) - 0.05, rng.uniform(0.3, 0.5), 0.055, rng)


def _onion(rng: np.random.Generator) -> tuple[BodyPart, ...]:
    """A bulb, a dry twisted tip, a beard of roots."""
    body = _star(contours.ONION, rng, 0.025)
    parts = [BodyPart(body, "skin")]
    for _ in range(3):
        x, z = rng.normal(0, 0.1, 2)
        top = rng.uniform(1.4, 1.62)
        parts.append(
            BodyPart(rod([(0, 1.15, 0), (0.4 * x, 1.35, 0.4 * z), (x, top, z)], [0.1, 0.07, 0.015], 10), "paper")
        )
    for _ in range(9):
        x, z = rng.normal(0, 0.09, 2)
        parts.append(
            BodyPart(
                rod([(0.5 * x, -0.82, 0.5 * z), (x, -0.9, z), (1.8 * x, -0.98, 1.8 * z)], [0.035, 0.02], 7), "roots"
            )
        )
    return tuple(parts)


def _pomegranate(rng: np.random.Generator) -> tuple[BodyPart, ...]:
    """A leathery ball, faintly six-sided, with a crown."""
    body = _carve(_star(contours.POMEGRANATE, rng, 0.022), _ribs(6, 0.05, np.pi / 2, rng.uniform(0, 6)))
    parts = [
        BodyPart(body, "skin"),
        BodyPart(rod([(0, 0.85, 0), (0, 1.0, 0), (0, 1.1, 0)], [0.24, 0.2, 0.19], 7), "crown"),
    ]
    flare = rng.uniform(0.26, 0.4)
    for k in range(6):
        c, s = np.cos(k * np.pi / 3 + 0.3), np.sin(k * np.pi / 3 + 0.3)
        tip, top = flare * rng.uniform(0.85, 1.15), rng.uniform(1.38, 1.52)
        points = [(0.13 * c, 1.02, 0.13 * s), (0.19 * c, 1.22, 0.19 * s), (tip * c, top, tip * s)]
        parts.append(BodyPart(rod(points, [0.085, 0.08, 0.05, 0.01], 12), "crown"))
    return tuple(parts)


def _tomato(rng: np.random.Generator) -> tuple[BodyPart, ...]:
    """Ribbed shoulders under a green star."""
    body = _carve(_star(contours.TOMATO, rng, 0.025), _ribs(5, rng.uniform(0.03, 0.1), 0.3, rng.uniform(0, 6)))
    parts = [BodyPart(body, "skin"), _stem(0.48, 0.22, 0.05, rng, "calyx")]
    for k in range(6):
        angle = k * np.pi / 3 + rng.normal(0, 0.12)
        c, s, reach, lift = np.cos(angle), np.sin(angle), rng.uniform(0.5, 0.72), rng.uniform(0, 0.16)
        points = [(0, 0.53, 0), (0.3 * c, 0.7, 0.3 * s), (reach * c, 0.66 + lift, reach * s)]
        parts.append(BodyPart(rod(points, [0.05, 0.06, 0.05, 0.01], 16), "calyx"))
    return tuple(parts)


def _banana(rng: np.random.Generator) -> tuple[BodyPart, ...]:
    """A bent rod, straighter at the stalk; five-sided by its skin's relief."""
    t = np.linspace(0, 1, 90)
    heading = np.pi / 2 + rng.uniform(1.4, 1.9) * (t - 0.5) - 0.8 * np.maximum(t - 0.86, 0) / 0.14
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading), 0 * t], axis=1), axis=0) * (2.6 / len(t))
    path -= (path.max(axis=0) + path.min(axis=0)) / 2
    thick = rng.uniform(0.235, 0.27)
    at = (0, 0.015, 0.06, 0.2, 0.45, 0.7, 0.83, 0.9, 1)
    radii = np.interp(t, at, np.array((0.25, 0.3, 0.55, 0.92, 1, 0.94, 0.66, 0.34, 0.36)) * thick)
    radii = ndimage.gaussian_filter1d(radii, 2, mode="nearest")
    return (BodyPart(Tube(path.astype(np.float32), radii.astype(np.float32)), "skin"),)


_BUILDERS: dict[str, Callable[[np.random.Generator], tuple[BodyPart, ...]]] = {
    "Apple Golden": _apple(contours.TALL_APPLE, 0.05),
    "Apple Granny Smith": _apple(contours.APPLE, 0.02),
    "Apple Red": _apple(contours.TALL_APPLE, 0.12),
    "Avocado": _avocado,
    "Banana": _banana,
    "Clementine": _round(contours.CLEMENTINE, 0.09, 0.02),
    "Grapefruit Pink": _round(contours.GRAPEFRUIT, 0.07, 0.02),
    "Mango Red": _mango,
    "Nectarine": _stone(0.06, 0.018),
    "Onion Red": _onion,
    "Onion White": _onion,
    "Orange": _round(contours.ORANGE, 0.065, 0.012),
    "Peach": _stone(0.085, 0.025),
    "Pear": _pear,
    "Pomegranate": _pomegranate,
    "Tomato": _tomato,
}
CLASSES = tuple(_BUILDERS)
