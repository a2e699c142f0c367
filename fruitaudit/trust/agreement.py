"""Rank correlation between methods on the same images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.trust import Agreement
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.groups import first_of
from fruitaudit.statistics.small_samples import mean_over_images
from fruitaudit.trust.similarity import standard_ranks


def agreement(maps: Mapping[str, FloatArray], streams: Streams, groups: IntArray | None = None) -> Agreement:
    """Mean rank correlation of |maps| for each pair, over the images that both have: the first ones of the longer.

    Magnitudes, because some methods have no sign.
    """
    ranks = {name: standard_ranks(abs(values)) for name, values in maps.items()}
    table = []
    for a in ranks.values():
        pairs = [(a[: len(b)], b[: len(a)]) for b in ranks.values()]
        correlations = [np.einsum("np,np->n", *pair) for pair in pairs]
        table.append(tuple(mean_over_images(r, streams, groups=first_of(groups, len(r))) for r in correlations))
    return Agreement(tuple(maps), tuple(table))
