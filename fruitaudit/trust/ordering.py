"""Pixels in the order of their evidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.similarity import ranks_pixels

Places = npt.NDArray[np.int32]
"""(N, H, W): 0 for the pixel with the highest value of its map, H * W - 1 for the lowest."""


def places(maps: FloatArray, images: Images, streams: Streams) -> Places:
    """Each pixel's place in the order of descending value. Ties are broken by chance, not by position in the image."""
    pixel_places = np.empty(maps.shape, np.int32)
    for i, sample_id in enumerate(images.sample_ids):
        chance = streams.rng("trust", "ties", sample_id).random(maps[i].size)
        order = np.lexsort((chance, -maps[i].ravel()))
        pixel_places[i].flat[order] = np.arange(len(order))
    return pixel_places


def score_usable_maps(maps: FloatArray, score: Callable[[IntArray], DoubleArray]) -> DoubleArray:
    """(N,): `score` of the rows whose map ranks pixels; NaN for the others."""
    scores = np.full(len(maps), np.nan)
    rows = np.flatnonzero(ranks_pixels(maps))
    if len(rows):
        scores[rows] = score(rows)
    return scores
