"""Light on surfaces: from depth, normals and materials to a linear picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fruitaudit.demo.fruit.casting import Hit, Pose
from fruitaudit.demo.fruit.material import Surface
from fruitaudit.records.data import FloatArray


@dataclass(frozen=True)
class Lamp:
    """One distant lamp and light from all around."""

    direction: tuple[float, float, float]
    """Towards the lamp, view coordinates, any length."""
    key: float
    """Strength of the lamp; 0 is overcast."""
    ambient: float
    """Strength of the light from all around, a little more from above."""
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Multiplies red, green and blue."""


class Surfaces:
    """The nearest surface in each pixel of a square picture, part after part."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.z = np.full((side, side), -np.inf, np.float32)
        self.normals = np.zeros((3, side, side), np.float32)
        self.albedo = np.zeros((side, side, 3), np.float32)
        self.gloss, self.polish, self.fuzz = (np.zeros((side, side), np.float32) for _ in range(3))
        self.shade = np.ones((side, side), np.float32)
        self.fruit = np.zeros((side, side), bool)

    @property
    def covered(self) -> np.ndarray:
        """(side, side) bool: where there is a surface."""
        return self.z > -np.inf

    def add(self, hit: Hit, material: Surface, pose: Pose, *, fruit: bool = True) -> None:
        """Lay a part, of the fruit or not, into the picture where it is nearer than what is there."""
        normals = _relief(hit, material.height, pose.radius, self.side)
        nearer = hit.z > self.z[hit.rows, hit.columns]
        at = (hit.rows[nearer], hit.columns[nearer])
        self.z[at] = hit.z[nearer]
        self.normals[:, at[0], at[1]] = normals[:, nearer]
        self.fruit[at] = fruit
        for layer, values in (
            (self.albedo, material.albedo),
            (self.gloss, material.gloss),
            (self.polish, material.polish),
            (self.fuzz, material.fuzz),
            (self.shade, material.shade),
        ):
            layer[at] = values[nearer] if isinstance(values, np.ndarray) else values

    def lit(self, lamp: Lamp) -> FloatArray:
        """(side, side, 3) linear light; zero where nothing is."""
        picture = np.zeros((self.side, self.side, 3), np.float32)
        inside = self.covered
        if not inside.any():
            return picture
        n = self.normals[:, inside]
        light = _unit(np.asarray(lamp.direction, np.float32))
        facing = light @ n
        wrapped = np.clip((facing + 0.25) / 1.25, 0, 1)
        around = 0.72 + 0.28 * n[1] - 0.12 * (1 - np.clip(n[2], 0, 1))
        rim = (1 - np.clip(n[2], 0, 1)) ** 2
        energy = (lamp.ambient * around + lamp.key * wrapped) * self.shade[inside]
        sheen = np.clip(_unit(light + np.array([0, 0, 1], np.float32)) @ n, 1e-6, 1)
        polish = self.polish[inside]
        dot = np.exp(polish * np.log(sheen)) * (polish + 8) / 60 * lamp.key * np.clip(3 * facing, 0, 1)
        gloss = self.gloss[inside] * (0.5 * dot + 0.12 * lamp.ambient * rim)
        fuzz = self.fuzz[inside] * rim * (0.3 * lamp.ambient + 0.45 * lamp.key * wrapped)
        base = to_linear(self.albedo[inside])
        pale = base + (0.75 - base) * fuzz[:, None]
        light_map = pale * energy[:, None] + gloss[:, None]
        picture[inside] = light_map * np.asarray(lamp.colour, np.float32)
        return picture


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.float32(np.linalg.norm(vector))


def _relief(hit: Hit, height: FloatArray | float, radius: float, side: int) -> FloatArray:
    """Normals tilted against the slope of the relief, as seen in the picture."""
    if not isinstance(height, np.ndarray):
        return hit.normals
    sheet = np.zeros((side, side), np.float32)
    inside = np.zeros((side, side), np.float32)
    sheet[hit.rows, hit.columns], inside[hit.rows, hit.columns] = height * radius, 1
    slopes = []
    for dx, dy in ((1, 0), (0, 1)):
        slope = cv2.Sobel(sheet, cv2.CV_32F, dx, dy, ksize=3, scale=0.125)
        # Only where all nine pixels are on the part: its outline is no cliff.
        slopes.append((slope * (cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0))[hit.rows, hit.columns])
    normals = hit.normals - np.stack([slopes[0], -slopes[1], 0 * slopes[0]])
    return normals / np.sqrt((normals * normals).sum(axis=0))


def to_linear(srgb: FloatArray) -> FloatArray:
    """sRGB 0..1 -> linear 0..1, exponent 2.2."""
    return cv2.pow(np.clip(srgb, 0, 1), 2.2)


def to_srgb(linear: FloatArray) -> FloatArray:
    """Linear light -> sRGB 0..1, cut at 1."""
    return cv2.pow(np.clip(linear, 0, 1), 1 / 2.2)
