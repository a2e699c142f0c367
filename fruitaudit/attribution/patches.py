"""Which patch of one image a network takes for which patch of another."""

from __future__ import annotations

import numpy as np

from fruitaudit.records.data import FloatArray, IntArray


def best_patches(ours: FloatArray, theirs: FloatArray, side: int, size: tuple[int, int]) -> IntArray:
    """The pair of patches that has most in common, for each image and neighbour.

    A patch is `side` x `side` places; what it holds is the mean activation of its places, a vector a. Of all pairs
    that with the largest min(|a|, |b|) cos(a, b): strong in both, and alike. Activations should be given less those
    that every image has, or an empty background is the best match.

    Parameters: `ours` (N, h, w, K), `theirs` (N, k, h, w, K); `size` (height, width) of the images in pixels.
    Returns (N, k, 2, 4): top, left, bottom, right in pixels, in the image and in the neighbour. The layer sees a margin
    around them as well.
    """
    height, width = ours.shape[1:3]
    window = min(side, height), min(side, width)
    boxes = np.empty((*theirs.shape[:2], 2, 4), np.int64)
    for n, activation in enumerate(ours):
        a = _patches(activation, window)
        for k, other in enumerate(theirs[n]):
            b = _patches(other, window)
            i, j = np.unravel_index(_common(a, b).argmax(), (len(a), len(b)))
            boxes[n, k] = [_box(int(place), window, (height, width), size) for place in (i, j)]
    return boxes


def _patches(activation: FloatArray, window: tuple[int, int]) -> FloatArray:
    """(h, w, K) -> (places, K) mean of every window, row by row."""
    windows = np.lib.stride_tricks.sliding_window_view(activation, window, axis=(0, 1))
    means: FloatArray = windows.mean(axis=(-2, -1), dtype=np.float32)
    return means.reshape(-1, activation.shape[-1])


def _common(a: FloatArray, b: FloatArray) -> FloatArray:
    """(A, B) min(|a|, |b|) cos(a, b) = a . b / max(|a|, |b|)."""
    larger = np.maximum(np.linalg.norm(a, axis=1)[:, None], np.linalg.norm(b, axis=1))
    return (a @ b.T / np.where(larger > 0, larger, 1)).astype(np.float32)


def _box(place: int, window: tuple[int, int], grid: tuple[int, int], size: tuple[int, int]) -> list[int]:
    top, left = divmod(place, grid[1] - window[1] + 1)
    edges = (top, grid[0], size[0]), (left, grid[1], size[1]), (top + window[0], grid[0], size[0])
    return [round(at * pixels / places) for at, places, pixels in (*edges, (left + window[1], grid[1], size[1]))]
