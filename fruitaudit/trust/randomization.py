"""Model randomization: do the maps change when what the network learned is destroyed?

Paper: Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, arXiv:1810.03292, sec. 3.1.
Layers are reinitialised by their own initializers: cascading from the output down, and one layer at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.trust import Depth
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.small_samples import mean_over_images
from fruitaudit.trust.similarity import spearman, ssim


@dataclass(frozen=True)
class RandomizationStep:
    """Layers to reinitialise together."""

    cascading: bool
    layers: tuple[str, ...]


def steps(layers: Sequence[str], *, cascading: int, independent: int) -> tuple[RandomizationStep, ...]:
    """At most so many steps of each kind, evenly spaced over the layers, the first and the last among them.

    The cascade's last step reinitialises every layer.
    """
    depths = _spread(len(layers), cascading)
    # A cascade of one step is everything; layers one at a time begin at the output.
    depths = depths if len(depths) != 1 else [len(layers)]
    down = (RandomizationStep(True, tuple(layers[:depth])) for depth in depths)
    alone = (RandomizationStep(False, (layers[depth - 1],)) for depth in _spread(len(layers), independent))
    return (*down, *alone)


def _spread(n: int, most: int) -> list[int]:
    """At most `most` of 1..n, evenly spaced from 1 to n."""
    return np.unique(np.linspace(1, n, min(n, most)).round().astype(int)).tolist()


def depth(
    layers: tuple[str, ...],
    maps: FloatArray,
    reinitialised_maps: FloatArray,
    streams: Streams,
    groups: IntArray | None = None,
) -> Depth:
    """Spearman and SSIM of the maps before and after, as they are and of their magnitudes."""
    rank, structure = (
        mean_over_images(score(maps, reinitialised_maps), streams, groups=groups) for score in (spearman, ssim)
    )
    if (maps >= 0).all() and (reinitialised_maps >= 0).all():
        return Depth(layers, rank, rank, structure, structure)
    of_size = (
        mean_over_images(score(abs(maps), abs(reinitialised_maps)), streams, groups=groups)
        for score in (spearman, ssim)
    )
    return Depth(layers, rank, next(of_size), structure, next(of_size))
