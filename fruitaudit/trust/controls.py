"""Maps that know nothing of the model. A method must do better than they do."""

from __future__ import annotations

from fruitaudit.attribution.methods.controls import centre as centre
from fruitaudit.attribution.methods.controls import intensity as intensity
from fruitaudit.attribution.methods.controls import random_maps as random_maps
from fruitaudit.attribution.methods.controls import sobel as sobel
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.runtime.streams import Streams

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
