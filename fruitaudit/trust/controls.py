"""Maps that know nothing of the model. A method that does not do better has told nothing about the model."""

from __future__ import annotations

import numpy as np

from fruitaudit.records.data import FloatArray, Images
from fruitaudit.runtime import Streams

RANDOM, EDGES, INTENSITY, CENTRE = "random", "edges", "intensity", "centre"
CONTROLS = (RANDOM, EDGES, INTENSITY, CENTRE)


def control_maps(images: Images, streams: Streams) -> dict[str, FloatArray]:
    """(N, H, W) maps by name: noise, Sobel edges, contrast to the mean colour, a bump in the middle."""
    return {
        RANDOM: random_maps(images, streams),
        EDGES: sobel(images),
        INTENSITY: intensity(images),
        CENTRE: centre(images),
    }


def random_maps(images: Images, streams: Streams) -> FloatArray:
    """Independent uniform noise a pixel, 0..1, drawn by sample id."""
    shape = images.values.shape[1:3]
    return np.stack([streams.rng("trust", RANDOM, i).random(shape, np.float32) for i in images.sample_ids])


def sobel(images: Images) -> FloatArray:
    """Magnitude of the Sobel gradient of the grey image."""
    import cv2

    def edges(grey: FloatArray) -> FloatArray:
        return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))

    return np.stack([edges(np.ascontiguousarray(grey)) for grey in images.unit().mean(axis=-1)]).astype(np.float32)


def intensity(images: Images) -> FloatArray:
    """Distance of each pixel's colour from the mean colour of its image: what stands out, bright or dark."""
    unit = images.unit()
    return np.linalg.norm(unit - unit.mean(axis=(1, 2), keepdims=True), axis=-1).astype(np.float32)


def centre(images: Images) -> FloatArray:
    """A Gaussian in the middle with a quarter of each side as standard deviation: where photographers put things."""
    height, width = images.values.shape[1:3]
    y, x = ((np.arange(side) - (side - 1) / 2) / (side / 4) for side in (height, width))
    bump = np.exp(-(y[:, None] ** 2 + x[None] ** 2) / 2).astype(np.float32)
    return np.repeat(bump[None], len(images), axis=0)
