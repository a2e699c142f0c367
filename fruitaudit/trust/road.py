"""ROAD: remove pixels so that the shape of the hole gives nothing away."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fruitaudit.models.base import WithScores
from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.ordering import places, score_usable_maps

SHARES = (0.1, 0.3, 0.5)
NOISE = 0.01
MOST_PIXELS = 128 * 128
"""Above this the equations are solved for blocks of pixels: their number is what costs."""
NEIGHBOURS = tuple(
    (dy, dx, 1 / 12 if dy and dx else 1 / 6) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
)
"""Offset and weight of the eight pixels around one."""


def road(model: WithScores, images: Images, targets: Targets, maps: FloatArray, streams: Streams) -> DoubleArray:
    """Probability kept without the least important pixels minus that without the most important ones, (N,), -1..1.

    mean over s in 10 %, 30 %, 50 % of  p_k(x without its lowest s) - p_k(x without its highest s);  0 at chance.
    Each pixel taken away becomes the weighted mean of its eight neighbours (1/6 beside, 1/12 diagonal), all solved
    together, plus noise of 1 % of the range.
    Paper: Rong, Leemann, Borisov, Kasneci, Kasneci 2022, arXiv:2202.00449, sec. 4.2 (noisy linear imputation).
    Differs from the paper: probability of the class explained instead of accuracy; both orders in one number; no
    share above a half, where the imputation dominates the score; above 128 x 128 pixels blocks of pixels are imputed.
    """

    def score(usable: IntArray) -> DoubleArray:
        usable_images, classes = images.select(usable), targets.classes[usable]
        order = places(maps[usable], usable_images, streams)
        noise = _noise(usable_images, streams)
        gains = np.zeros(len(usable))
        for share in SHARES:
            least = round(share * order[0].size)
            without_lowest, without_highest = (
                model.probabilities(_imputed(usable_images.values, removed, noise))[np.arange(len(usable)), classes]
                for removed in (order >= order[0].size - least, order < least)
            )
            gains += without_lowest.astype(np.float64) - without_highest
        return gains / len(SHARES)

    return score_usable_maps(maps, score)


def _noise(images: Images, streams: Streams) -> FloatArray:
    noise = [streams.rng("trust", "road", i).standard_normal(images.values.shape[1:]) for i in images.sample_ids]
    return (NOISE * (images.high - images.low) * np.stack(noise)).astype(np.float32)


def _imputed(values: FloatArray, removed: npt.NDArray[np.bool_], noise: FloatArray) -> FloatArray:
    filled = np.stack([fill(image, hole) for image, hole in zip(values, removed, strict=True)])
    return np.where(removed[..., None], filled + noise, values).astype(np.float32)


def fill(image: FloatArray, removed: npt.NDArray[np.bool_]) -> FloatArray:
    """`impute`; of images above MOST_PIXELS on block means of what is left, enlarged bilinearly."""
    import cv2

    block = math.ceil(math.sqrt(removed.size / MOST_PIXELS))
    if block == 1:
        return impute(image, removed)
    by = tuple((0, -side % block) for side in removed.shape)
    remaining = np.pad(~removed, by)[..., None]
    n = _blocks(remaining.astype(np.float64), block)
    means = _blocks(np.pad(image.astype(np.float64), (*by, (0, 0))) * remaining, block) / np.maximum(n, 1)
    coarse = impute(means.astype(np.float32), n[..., 0] == 0)
    height, width = remaining.shape[:2]
    enlarged = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
    return np.where(removed[..., None], enlarged[: image.shape[0], : image.shape[1]], image).astype(np.float32)


def _blocks(values: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """(H, W, C) -> (H / side, W / side, C): sums."""
    height, width, channels = values.shape
    return values.reshape(height // side, side, width // side, side, channels).sum(axis=(1, 3))


def impute(image: FloatArray, removed: npt.NDArray[np.bool_]) -> FloatArray:
    """(H, W, C), (H, W) -> (H, W, C): each removed pixel is the weighted mean of its neighbours, solved exactly."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    if not removed.any():
        return image
    unknown = np.full(np.add(removed.shape, 2), -1)
    unknown[1:-1, 1:-1][removed] = np.arange(removed.sum())
    inside = np.pad(np.ones(removed.shape, bool), 1)
    colours = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    y, x = np.nonzero(removed)
    row = np.arange(len(y))
    total, right_hand_side = np.zeros(len(y)), np.zeros((len(y), image.shape[-1]))
    entries = []
    for dy, dx, weight in NEIGHBOURS:
        at = y + 1 + dy, x + 1 + dx
        column = unknown[at]
        total += weight * inside[at]
        right_hand_side += np.where((column < 0)[:, None], weight * colours[at], 0)  # outside the image colours are 0
        linked = column >= 0
        entries.append((np.full(linked.sum(), -weight), row[linked], column[linked]))
    entries.append((total, row, row))
    weights, rows, columns = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = csc_matrix((weights, (rows, columns)), shape=(len(y), len(y)))
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    result = image.astype(np.float32, copy=True)
    result[removed] = solver.solve(right_hand_side)
    return result
