"""The grid pointing game: four images of four classes in one, and whether the evidence for a class lies in its tile."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.baselines import colour
from fruitaudit.models.base import WithScores
from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.ordering import score_usable_maps

CHANCE = 0.25


@dataclass(frozen=True)
class Mosaics:
    """Mosaics with one class each to be found: `targets` and the `tile` (M, H, W) in which it is."""

    images: Images
    targets: Targets
    tile: npt.NDArray[np.bool_]
    n_pairs: int
    """Number of (mosaic, class) pairs before filtering to those the model localises."""

    def first(self, n: int) -> Mosaics:
        """The first n of them."""
        rows = np.arange(min(n, len(self.images)))
        return Mosaics(self.images.select(rows), Targets(self.targets.classes[rows]), self.tile[rows], self.n_pairs)


def make_mosaics(model: WithScores, images: Images, classes: IntArray, streams: Streams, *, n: int) -> Mosaics | None:
    """Up to 4 n pairs (mosaic, class) for which the model sees the class in its tile, else None.

    A pair counts where greying the class's own tile lowers its logit, and more than greying any other tile.
    Each tile is half the input high and wide.
    Paper: Boehle, Fritz, Schiele 2021, arXiv:2104.00032, sec. 4 (grid pointing game).
    Differs from the paper: tiles are shrunk to keep the model's input size, and pairs are filtered, because a model
    that does not recognise shrunk images has no evidence to point at.
    Returns None where the images are of fewer than four classes, or no pair counts.
    """
    groups = _draw(classes, streams, n)
    if not groups:
        return None
    height, width = images.values.shape[1:3]
    half = height // 2, width // 2
    corners = [np.s_[top : top + half[0], left : left + half[1]] for top in (0, half[0]) for left in (0, half[1])]
    small = _halved(images.values, half)
    values = np.empty((len(groups), *images.values.shape[1:]), np.float32)
    values[:] = colour(images, "grey")
    for mosaic, group in zip(values, groups, strict=True):
        for corner, i in zip(corners, group, strict=True):
            mosaic[corner] = small[i]
    mosaic, own_tile = (a.ravel() for a in np.indices((len(groups), 4)))
    targets = classes[np.array(groups)].ravel()
    localised = _own_tile_counts(model, values, corners, colour(images, "grey"), mosaic, targets, own_tile)
    if not localised.any():
        return None
    tiles = np.zeros((4, height, width), bool)
    for tile, corner in zip(tiles, corners, strict=True):
        tile[corner] = True
    ids = tuple(f"mosaic/{m}-{t}" for m, t in zip(mosaic[localised], own_tile[localised], strict=True))
    mosaic_images = replace(images, values=values[mosaic[localised]], sample_ids=ids, masks=None, groups=None)
    return Mosaics(mosaic_images, Targets(targets[localised]), tiles[own_tile[localised]], len(targets))


def grid_pointing(mosaics: Mosaics, maps: FloatArray) -> DoubleArray:
    """Share of the positive evidence that lies in the tile of the class, (M,), 0..1; chance 0.25."""
    return share_inside(maps, mosaics.tile)


def share_inside(maps: FloatArray, area: npt.NDArray[np.bool_]) -> DoubleArray:
    """Share of the positive values of each map that lies inside its area, (N,); NaN where there are none."""

    def score(usable: IntArray) -> DoubleArray:
        positive = np.maximum(maps[usable].astype(np.float64), 0)
        total, inside = positive.sum(axis=(1, 2)), (positive * area[usable]).sum(axis=(1, 2))
        return np.divide(inside, total, out=np.full(len(usable), np.nan), where=total > 0)

    return score_usable_maps(maps, score)


def _draw(classes: IntArray, streams: Streams, n: int) -> list[IntArray]:
    """Rows of four images of four different classes, n times."""
    kinds = np.unique(classes)
    if len(kinds) < 4:
        return []
    rng = streams.rng("trust", "mosaics")
    four = [rng.choice(kinds, 4, replace=False) for _ in range(n)]
    return [np.array([rng.choice(np.flatnonzero(classes == c)) for c in group]) for group in four]


def _halved(values: FloatArray, half: tuple[int, int]) -> FloatArray:
    import cv2

    small = [cv2.resize(image, half[::-1], interpolation=cv2.INTER_AREA) for image in values]
    return np.stack(small).reshape(len(values), *half, values.shape[-1])


def _own_tile_counts(
    model: WithScores,
    values: FloatArray,
    corners: list[tuple[slice, slice]],
    grey: FloatArray,
    mosaic: IntArray,
    targets: IntArray,
    own_tile: IntArray,
) -> npt.NDArray[np.bool_]:
    """(4 n,): whether greying the class's own tile costs its logit most, and costs something."""
    variants = np.repeat(values[:, None], 5, axis=1)
    for t, corner in enumerate(corners):
        variants[:, t + 1][:, corner[0], corner[1]] = grey
    logits = model.logits(variants.reshape(-1, *values.shape[1:])).reshape(len(values), 5, -1)
    of_class = logits[mosaic, :, targets]
    drops = of_class[:, :1] - of_class[:, 1:]
    return (drops.argmax(axis=1) == own_tile) & (drops.max(axis=1) > 0)
