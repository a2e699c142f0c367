"""Deletion and insertion: hide, or reveal, pixels in the order of the map and watch the probability."""

from __future__ import annotations

import numpy as np

from fruitaudit.attribution.baselines import colour
from fruitaudit.attribution.passes import rows
from fruitaudit.models.base import WithScores
from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.ordering import Places, places, score_usable_maps

STEPS = 16


def deletion(model: WithScores, images: Images, targets: Targets, maps: FloatArray, streams: Streams) -> DoubleArray:
    """Area under the probability while pixels turn grey from the highest value down, (N,), 0..1; lower is better.

    AUC of p_k over the share of pixels removed, by the trapezoid rule in 16 steps.
    Paper: Petsiuk, Das, Saenko 2018, arXiv:1806.07421, alg. 1.
    Differs from the paper: 16 steps instead of one per pixel row; pixels of equal value go in random order.
    """
    fill = np.broadcast_to(colour(images, "grey"), images.values.shape)
    return _area(model, images, targets, maps, streams, before=images.values, after=fill)


def insertion(model: WithScores, images: Images, targets: Targets, maps: FloatArray, streams: Streams) -> DoubleArray:
    """Area under the probability while a blurred image turns sharp from the highest value down; higher is better.

    Paper: Petsiuk, Das, Saenko 2018, arXiv:1806.07421, alg. 1.
    Differs from the paper: as `deletion`; the Gaussian's deviation is a 20th of the shorter side, whatever the size.
    """
    return _area(model, images, targets, maps, streams, before=blurred(images), after=images.values)


def blurred(images: Images) -> FloatArray:
    """(N, H, W, C): each image without its details."""
    from scipy.ndimage import gaussian_filter

    deviation = min(images.values.shape[1:3]) / 20
    return gaussian_filter(images.values, (0, deviation, deviation, 0), mode="nearest")


def _area(
    model: WithScores,
    images: Images,
    targets: Targets,
    maps: FloatArray,
    streams: Streams,
    *,
    before: FloatArray,
    after: FloatArray,
) -> DoubleArray:
    def score(usable: IntArray) -> DoubleArray:
        order = places(maps[usable], images.select(usable), streams)
        curves = along(model, before[usable], after[usable], targets.classes[usable], order)
        return (curves.sum(axis=1) - (curves[:, 0] + curves[:, -1]) / 2) / STEPS

    return score_usable_maps(maps, score)


def along(model: WithScores, before: FloatArray, after: FloatArray, classes: IntArray, order: Places) -> DoubleArray:
    """(N, STEPS + 1): probability of the class while `before` becomes `after` in equal parts, in this order."""
    counts = np.linspace(0, order[0].size, STEPS + 1).round().astype(np.int64)
    curves = np.empty((len(before), len(counts)))
    for image, step in rows(len(before), len(counts), model.batch_size):
        changed = (order[image] < counts[step, None, None])[..., None]
        mixed = np.where(changed, after[image], before[image]).astype(np.float32)
        curves[image, step] = model.probabilities(mixed)[np.arange(len(image)), classes[image]]
    return curves
