"""Is the map an edge detector?"""

from __future__ import annotations

from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import EdgeLikeness
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.small_samples import mean_over_images
from fruitaudit.trust.similarity import spearman


def edge_likeness(
    edges: FloatArray,
    maps: FloatArray,
    reinitialised_maps: FloatArray | NotRun,
    streams: Streams,
    groups: IntArray | None = None,
) -> EdgeLikeness:
    """Rank correlation of |maps| with Sobel edges: of the trained network, and after it was reinitialised.

    What remains with weights that were never trained comes from the image and the architecture, not from learning.
    Paper: Adebayo et al. 2018, arXiv:1810.03292, sec. 5.1 (edge detectors pass for explanations).
    """
    trained = spearman(edges, abs(maps))
    if isinstance(reinitialised_maps, NotRun):
        return EdgeLikeness(mean_over_images(trained, streams, groups=groups), reinitialised_maps, reinitialised_maps)
    after = spearman(edges, abs(reinitialised_maps))
    means = (mean_over_images(scores, streams, groups=groups) for scores in (trained, after, trained - after))
    return EdgeLikeness(*means)
