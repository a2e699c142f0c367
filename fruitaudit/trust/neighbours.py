"""Like images, like maps."""

from __future__ import annotations

import numpy as np

from fruitaudit.records.data import DoubleArray, FloatArray
from fruitaudit.trust.similarity import standard_ranks

FEWEST = 4


def neighbours(features: FloatArray, maps: FloatArray) -> DoubleArray:
    """How much more an image's map resembles that of the most similar image than those of the others, (N,), -2..2.

    s_i = rho(|m_i|, |m_nn(i)|) - mean_{j not i, nn(i)} rho(|m_i|, |m_j|), nn by cosine of the features (N, D) that
    the model's last layer sees. 0 at chance. All NaN with fewer than four images.
    Paper: none; the consistency of Dasgupta, Frost, Moshkovitz 2022, arXiv:2202.00734, def. 1, made gradual.
    """
    n = len(maps)
    scores = np.full(n, np.nan)
    if n < FEWEST:
        return scores
    unit = features.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    ranks = standard_ranks(abs(maps))
    correlations = ranks @ ranks.T
    np.fill_diagonal(correlations, np.nan)
    for i, nearest in enumerate(similarity.argmax(axis=1)):
        others = np.delete(correlations[i], [i, nearest])
        others = others[np.isfinite(others)]
        if len(others):
            scores[i] = correlations[i, nearest] - others.mean()
    return scores
