"""A lab split beside a field split: what every measurement of a difference between the two starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fruitaudit.diagnosis.images.layers import Cutouts
from fruitaudit.diagnosis.images.masks import Masks
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import DoubleArray, IntArray
from fruitaudit.runtime.streams import Streams

ENOUGH = 12
"""Fewest images with a sure mask that a statistic of objects may rest on."""
SHARE = 0.3
"""Smallest share of images with a sure mask: fewer would be a choice of the easy ones."""


@dataclass(frozen=True)
class MaskedSplit:
    """One split with its masks."""

    material: SplitSample
    masks: Masks

    @cached_property
    def sure(self) -> IntArray:
        return self.masks.sure

    @property
    def separable(self) -> bool:
        """Whether objects can be told from their surroundings in enough images to speak of the split."""
        return len(self.sure) >= max(ENOUGH, SHARE * len(self.material))

    @cached_property
    def cutouts(self) -> Cutouts:
        return Cutouts.of(self.material, self.masks)


@dataclass(frozen=True)
class SplitPair:
    """`partner` (N_lab,): the field image, of the same class where there is one, whose statistics each lab image takes.

    All changes of one lab image come from one field image, so that what occurs together in the field stays together.
    """

    lab: MaskedSplit
    field: MaskedSplit
    streams: Streams
    partner: IntArray

    @classmethod
    def of(cls, lab: MaskedSplit, field: MaskedSplit, streams: Streams) -> SplitPair:
        """Partners are drawn with the seed: images with a sure mask first, all of them about equally often."""
        rng = streams.rng("diagnosis partners", lab.material.split, field.material.split)
        pool = field.sure if field.separable else np.arange(len(field.material))
        partner = np.empty(len(lab.material), np.int64)
        for label in np.unique(lab.material.labels):
            rows = np.flatnonzero(lab.material.labels == label)
            same = pool[field.material.labels[pool] == label]
            choice = rng.permutation(same if len(same) else pool)
            partner[rows] = np.resize(choice, len(rows))
        return cls(lab, field, streams, partner)

    @property
    def side(self) -> float:
        """Geometric mean of the image's height and width, in pixels."""
        height, width = self.lab.material.pixels.shape[1:3]
        return float(np.sqrt(height * width))


def class_medians(values: DoubleArray, labels: IntArray, classes: IntArray) -> DoubleArray:
    """(N, ...) -> (K, ...): the median of each class; NaN where it has no finite value."""
    rows = [values[labels == c] for c in classes]
    empty = np.full(values.shape[1:], np.nan)
    return np.array([np.nanmedian(r, axis=0) if np.isfinite(r).any() else empty for r in rows])


def excess_spread(lab: DoubleArray, field: DoubleArray) -> float:
    """Share, 0..1, of the field's deviations that the lab does not show already: sqrt(1 - var_lab / var_field).

    0 up to half more variance: so much differs between two draws of the same few images.
    """
    lab_variance, field_variance = float(np.nanvar(lab)), float(np.nanvar(field))
    return float(np.sqrt(1 - lab_variance / field_variance)) if field_variance > 1.5 * lab_variance else 0.0
