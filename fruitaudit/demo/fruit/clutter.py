"""What gets between camera and fruit: a hand, the front board of a crate, a price tag."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fruitaudit.demo.fruit.bodies import rod
from fruitaudit.demo.fruit.casting import Pose
from fruitaudit.demo.fruit.material import Canvas, Surface, paint
from fruitaudit.demo.fruit.shade import Surfaces
from fruitaudit.records.data import FloatArray

Rng = np.random.Generator
SKINS = ((226, 172, 140), (198, 140, 104), (142, 94, 66), (96, 62, 44))


def add_hand(surfaces: Surfaces, pose: Pose, rng: Rng) -> None:
    """A hand that holds the fruit (half a size of `pose.radius` pixels): palm behind, fingers and thumb in front."""
    angle = rng.uniform(-0.9, 0.9)
    mirror = rng.choice([-1.0, 1.0])
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c * mirror, -s, 0], [s * mirror, c, 0], [0, 0, 1]], np.float32)
    hand = Pose(turn, pose.centre, pose.radius, pose.depth)
    tone = SKINS[rng.integers(len(SKINS))]
    rods = [
        rod([(-0.9, -4.2, -0.6), (-0.7, -2.4, -0.9), (-0.1, -0.9, -0.9)], [0.6, 0.66, 0.7, 0.6], 40),
        rod(
            [(-1.1, -2.2, -0.2), (-1.45, -1.2, 0.3), (-1.2, -0.5, 0.8), (-0.75, -0.25, 0.95)],
            [0.36, 0.27, 0.25, 0.2],
            30,
        ),
    ]
    for k in range(4):
        low = -1.25 + 0.33 * k
        rods.append(
            rod([(0.1, low - 0.7, -0.8), (1.45, low - 0.35, -0.4), (1.45, low - 0.05, 0.6), (0.8 - 0.06 * k, low, 0.9)],
                [0.24, 0.22, 0.2, 0.16], 30)
        )  # fmt: skip
    for shape in rods:
        hit = shape.cast(hand, surfaces.side)
        if hit is None:
            continue
        canvas = Canvas(hit, pose.radius, int(rng.integers(2**31)), 0.0)
        red = tuple(int(v * f) for v, f in zip(tone, (0.95, 0.72, 0.68), strict=True))
        albedo = paint(tone, (red, 0.25 + 0.15 * canvas.haze(0.8)))
        surfaces.add(hit, Surface(albedo, 0.0, 0.08, 10), pose, fruit=False)


def lay_board(side: int, rng: Rng) -> tuple[FloatArray, FloatArray]:
    """sRGB colours (side, side, 3) and cover (side, side) of a board across one edge of the picture."""
    height, slope = rng.uniform(0.1, 0.24), rng.uniform(-0.12, 0.12)
    corners = [(0, 1 - height - slope), (1, 1 - height + slope), (1, 1.1), (0, 1.1)]
    dye = np.array(rng.choice([(0.72, 0.55, 0.36), (0.6, 0.46, 0.3), (0.12, 0.13, 0.15), (0.2, 0.4, 0.26)]))
    fibre = cv2.resize(rng.standard_normal((40, 4)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    cover = _polygon(side, corners)
    edge = cover - _polygon(side, [(x, y + 0.02) for x, y in corners])
    colours = (1 + 0.06 * fibre - 0.15 + 0.3 * edge)[..., None] * dye
    return np.clip(colours, 0, 1).astype(np.float32), cover


def lay_tag(side: int, rng: Rng) -> tuple[FloatArray, FloatArray]:
    """sRGB colours and cover of a price tag at one side of the picture."""
    paper = np.full((60, 96, 3), (245, 244, 238), np.uint8)
    paper[:16] = rng.choice([(217, 26, 26), (250, 214, 26), (26, 115, 64)])
    price = f"{rng.integers(9, 60)}.{rng.integers(0, 10)}0"
    cv2.putText(paper, price, (8, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.95, (20, 20, 24), 2, cv2.LINE_AA)
    tag = paper.astype(np.float32) / 255
    width = rng.uniform(0.3, 0.45)
    scale, angle = width / 96, rng.uniform(-0.3, 0.3)
    x, y = rng.choice([0.22, 0.78]), rng.choice([0.2, 0.8])
    c, s = scale * np.cos(angle) * side, scale * np.sin(angle) * side
    place = np.array([[c, -s, x * side - 48 * c + 30 * s], [s, c, y * side - 48 * s - 30 * c]])
    cover = cv2.warpAffine(np.ones((60, 96), np.float32), place, (side, side))
    return np.clip(cv2.warpAffine(tag, place, (side, side), borderMode=cv2.BORDER_REPLICATE), 0, 1), cover


def _polygon(side: int, corners: Sequence[tuple[float, float]]) -> FloatArray:
    """1 inside, 0 outside, smooth edge; corners in sides of the picture from the upper left."""
    sheet = np.zeros((side, side), np.uint8)
    points = np.round(np.array(corners) * side * 16).astype(np.int32)
    cv2.fillPoly(sheet, [points], 255, cv2.LINE_AA, 4)
    return (sheet / 255).astype(np.float32)
