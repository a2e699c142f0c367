"""How alike two sets of maps are, image by image. NaN where a map is constant or not finite: it ranks no pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import DoubleArray, FloatArray

WINDOW = 7
"""Side of the window of `ssim`, in pixels."""


def ranks_pixels(maps: FloatArray) -> npt.NDArray[np.bool_]:
    """(N, H, W) -> (N,): whether a map ranks pixels: finite everywhere and not constant."""
    flat = maps.reshape(len(maps), -1)
    return np.isfinite(flat).all(axis=1) & (flat.max(axis=1, initial=-np.inf) > flat.min(axis=1, initial=np.inf))


def spearman(a: FloatArray, b: FloatArray) -> DoubleArray:
    """Rank correlation over the pixels of each pair of maps, (N,), -1..1; ties get their mean rank."""
    return np.einsum("np,np->n", standard_ranks(a), standard_ranks(b))


def standard_ranks(maps: FloatArray) -> npt.NDArray[np.float64]:
    """(N, H, W) -> (N, H * W): ranks with mean 0 and length 1, so that a product of two rows is their Spearman."""
    from scipy.stats import rankdata

    flat = maps.reshape(len(maps), -1)
    ranks = np.full(flat.shape, np.nan)
    usable = ranks_pixels(maps)
    if usable.any():
        ranks[usable] = rankdata(flat[usable], axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    return ranks / np.linalg.norm(ranks, axis=1, keepdims=True)


def ssim(a: FloatArray, b: FloatArray) -> DoubleArray:
    """Structural similarity of each pair of maps, (N,), -1..1, after each map is divided by its largest magnitude.

    Mean over windows of (2 m_a m_b + c1) (2 s_ab + c2) / ((m_a^2 + m_b^2 + c1) (s_a^2 + s_b^2 + c2)),
    c1 = (0.01 L)^2, c2 = (0.03 L)^2, L = 2 where a map has negative values and 1 where none has.
    Paper: Wang, Bovik, Sheikh, Simoncelli 2004, IEEE TIP 13(4), eq. 13, as used by Adebayo et al. 2018,
    arXiv:1810.03292, sec. 3. Differs from the paper: a square window of 7 pixels instead of a Gaussian one.
    """
    from scipy.ndimage import uniform_filter

    usable = ranks_pixels(a) & ranks_pixels(b)
    scores = np.full(len(a), np.nan)
    if not usable.any():
        return scores
    x, y = _scaled(a[usable]), _scaled(b[usable])
    span = 1.0 + (np.minimum(x.min(axis=(1, 2)), y.min(axis=(1, 2))) < 0)
    c1, c2 = ((k * span[:, None, None]) ** 2 for k in (0.01, 0.03))
    side = min(WINDOW, *x.shape[1:])

    def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return uniform_filter(values, (0, side, side))

    mean_x, mean_y = mean(x), mean(y)
    variances = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    local = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    edge = side // 2  # windows that reach over the border are left out
    inner = local[:, edge : local.shape[1] - edge or None, edge : local.shape[2] - edge or None]
    scores[usable] = inner.mean(axis=(1, 2))
    return scores


def _scaled(maps: FloatArray) -> npt.NDArray[np.float64]:
    return maps.astype(np.float64) / abs(maps).max(axis=(1, 2), keepdims=True)
