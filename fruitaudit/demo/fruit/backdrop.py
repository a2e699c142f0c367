"""What lies behind the fruit: wood, paper, shelves, other fruit; out of focus, so 200 x 200 pixels are enough."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from fruitaudit.demo.fruit.scene import Backdrop
from fruitaudit.records.data import FloatArray

SIDE = 200
Rng = np.random.Generator


def backdrop(kind: Backdrop, rng: Rng, side: int) -> FloatArray:
    """(side, side, 3) sRGB 0..1."""
    if kind == "white":
        return np.ones((side, side, 3), np.float32)
    picture = np.clip(_MAKERS[kind](rng), 0, 1).astype(np.float32)
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)


def _crate(rng: Rng) -> FloatArray:
    """Wooden slats with dark gaps."""
    slat = int(rng.integers(28, 48))
    tones = np.repeat(rng.uniform(0.75, 1.15, SIDE // slat + 1), slat)[:SIDE]
    gaps = np.where(np.arange(SIDE) % slat < 3, 0.25, 1.0)
    fibre = 1 + 0.09 * _clouds(rng, SIDE // 2, 6)
    wood = np.array(rng.choice([(0.74, 0.56, 0.37), (0.62, 0.44, 0.28)]))
    return _turned(((tones * gaps)[:, None] * fibre)[..., None] * wood, rng)


def _paper(rng: Rng) -> FloatArray:
    """Crumpled tissue: green, purple or white."""
    dye = np.array(rng.choice([(0.25, 0.5, 0.24), (0.36, 0.24, 0.5), (0.86, 0.84, 0.8), (0.16, 0.38, 0.42)]))
    folds = np.sum([np.abs(_clouds(rng, n, n)) / n for n in (4, 8, 16)], axis=0)
    return (0.55 + 1.35 * folds)[..., None] * dye


def _shelf(rng: Rng) -> FloatArray:
    """A dark shelf: black plastic, a bright rail, reflections."""
    tone = np.full((SIDE, SIDE), rng.uniform(0.1, 0.28))
    rail = int(rng.integers(30, 150))
    tone[rail : rail + int(rng.integers(5, 14))] += 0.45
    tone[:: int(rng.integers(12, 24))] *= 0.4
    tone *= 1 + 0.25 * _clouds(rng, 5, 5)
    return _turned(tone[..., None] * np.array((0.95, 1.0, 1.05)), rng, 20)


def _fruit(rng: Rng) -> FloatArray:
    """Other fruit, far out of focus."""
    picture = np.full((SIDE, SIDE, 3), 0.12, np.float32)
    dye = rng.choice(
        [
            (0.8, 0.16, 0.12),
            (0.92, 0.55, 0.12),
            (0.48, 0.66, 0.2),
            (0.9, 0.78, 0.3),
            (0.4, 0.12, 0.24),
            (0.3, 0.34, 0.18),
        ]
    )
    other = rng.choice([(0.85, 0.25, 0.16), (0.95, 0.62, 0.16), (0.58, 0.7, 0.22), (0.92, 0.82, 0.4)])
    for _ in range(26):
        x, y, radius = *rng.uniform(-10, SIDE + 10, 2), rng.uniform(20, 34)
        colour = np.array(dye if rng.random() < 0.7 else other) * rng.uniform(0.75, 1.15)
        for shrink, tone in ((1.0, 0.45), (0.88, 0.75), (0.66, 1.0), (0.22, 1.35)):
            centre = (int(x - (1 - shrink) * radius * 0.4), int(y - (1 - shrink) * radius * 0.5))
            cv2.circle(picture, centre, int(radius * shrink), (colour * tone).tolist(), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(2.5, 5))


def _tiles(rng: Rng) -> FloatArray:
    """A speckled shop floor with joints."""
    tone = 0.62 + 0.05 * rng.standard_normal((SIDE, SIDE)) + 0.06 * _clouds(rng, 4, 4)
    pitch = int(rng.integers(55, 90))
    tone[np.arange(SIDE) % pitch < 2] -= 0.2
    tone[:, np.arange(SIDE) % pitch < 2] -= 0.2
    return _turned(tone[..., None] * np.array((1.0, 0.96, 0.9)), rng)


def _cardboard(rng: Rng) -> FloatArray:
    """A brown box: flutes, a printed stripe."""
    tone = 1 + 0.05 * np.sin(np.arange(SIDE) * rng.uniform(0.8, 1.4))[None] + 0.07 * _clouds(rng, 6, 6)
    picture = tone[..., None] * np.array((0.7, 0.55, 0.39))
    top = int(rng.integers(20, 150))
    picture[top : top + int(rng.integers(15, 40))] *= np.array(
        rng.choice([(1.1, 0.35, 0.35), (0.4, 0.8, 0.5), (0.4, 0.55, 1.1)])
    )
    return _turned(picture, rng, 30)


def _clouds(rng: Rng, rows: int, columns: int) -> FloatArray:
    """(SIDE, SIDE) smooth noise of deviation about 1, from a rows x columns grid."""
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def _turned(picture: FloatArray, rng: Rng, limit: float = 90) -> FloatArray:
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-limit, limit), 1.3)
    return cv2.warpAffine(picture.astype(np.float32), turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)


_MAKERS: dict[str, Callable[[Rng], FloatArray]] = {
    "crate": _crate,
    "paper": _paper,
    "shelf": _shelf,
    "fruit": _fruit,
    "tiles": _tiles,
    "cardboard": _cardboard,
}
