"""Methods whose maps promise to add up to a score: the relative error of the sum."""

from __future__ import annotations

import numpy as np

from fruitaudit.records.data import DoubleArray
from fruitaudit.records.explanations import Explanation, Maps, Segments


def completeness(explanation: Explanation) -> DoubleArray | None:
    """|sum - promise| / |promise|, (N,), of the sum of the explanation; 0 is exact. None without a promise.

    A promise is a diagnostic of the method: "score_difference" F(x) - F(b), or "score" F(x) with "kept_inside", the
    part that biases keep. Superpixels share out their coefficients, not the pixels they are painted on. NaN where
    nothing is promised to an image, or the map is not finite.
    Papers: completeness, Sundararajan et al. 2017, arXiv:1703.01365, prop. 1; local accuracy (SHAP), Lundberg, Lee
    2017, arXiv:1705.07874, prop. 1; conservation (LRP), Bach et al. 2015, PLoS ONE 10(7), eq. 2.
    """
    if not isinstance(explanation, Maps | Segments):
        return None
    diagnostics = {name: np.asarray(values, np.float64) for name, values in explanation.diagnostics.items()}
    if "score_difference" in diagnostics:
        promises, kept_inside = diagnostics["score_difference"], np.zeros(1)
    elif "kept_inside" in diagnostics:
        promises, kept_inside = diagnostics["score"], diagnostics["kept_inside"]
    else:
        return None
    if isinstance(explanation, Segments):
        sums = np.nansum(explanation.coefficients, axis=1, dtype=np.float64)
    else:
        sums = explanation.values.sum(axis=(1, 2), dtype=np.float64)
    error = abs(sums + kept_inside - promises)
    return np.divide(error, abs(promises), out=np.full(len(promises), np.nan), where=promises != 0)
