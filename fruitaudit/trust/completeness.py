"""Methods that promise to share out a score: does the map add up to it?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fruitaudit.records.data import FloatArray
from fruitaudit.trust.similarity import Scores

PROMISE = "score_difference"
"""The diagnostic in which such a method tells what its map should add up to, (N,), in the units of the map."""


def completeness(maps: FloatArray, diagnostics: Mapping[str, FloatArray]) -> Scores | None:
    """|sum of the map - F(x) + F(b)| / |F(x) - F(b)|, (N,), 0 is exact; None where the method promises no sum.

    Papers: completeness, Sundararajan et al. 2017, arXiv:1703.01365, prop. 1; local accuracy (SHAP), Lundberg, Lee
    2017, arXiv:1705.07874, prop. 1; conservation (LRP), Bach et al. 2015, eq. 2. NaN where the difference is 0.
    """
    if PROMISE not in diagnostics:
        return None
    promised = diagnostics[PROMISE].astype(np.float64)
    error = abs(maps.sum(axis=(1, 2), dtype=np.float64) - promised)
    return np.divide(error, abs(promised), out=np.full(len(maps), np.nan), where=promised != 0)
