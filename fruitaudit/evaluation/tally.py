"""Figures of the confusion matrix, from three counts per class: images, predictions, and both.

All functions take a `Tally` whose arrays are (K, B): B is 1 for the figures themselves and the number of resamples
for their intervals, so that both come from the same lines. NaN stands for a figure that is not defined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fruitaudit.records.data import BoolArray
from fruitaudit.statistics.bootstrap import Array


@dataclass(frozen=True)
class Tally:
    """`support` (K, 1) images of each class, `predicted` (K, B) images called so, `hits` (K, B) both."""

    support: Array
    predicted: Array
    hits: Array

    @property
    def n(self) -> float:
        """Number of images."""
        return float(self.support.sum())

    def figures(self, occurring: BoolArray) -> dict[str, Array]:
        """Per-class figures (K, B) and scalars (B,), by the names of `records.evaluation`.

        Averages run over the classes that are `occurring` (K,), as a true or a predicted class; there an undefined
        precision or recall counts 0. Both as scikit-learn does.
        """
        precision = _ratio(self.hits, self.predicted)
        recall = _ratio(self.hits, self.support)
        f1 = _ratio(2 * self.hits, self.support + self.predicted)
        weights = self.support / max(self.n, 1)
        out = {"precision": precision, "recall": recall, "f1": f1}
        for name, values in tuple(out.items()):
            filled = np.nan_to_num(values)
            out[f"{name}_macro"] = filled[occurring].mean(axis=0)
            out[f"{name}_weighted"] = (filled * weights).sum(axis=0)
        out["balanced_accuracy"] = recall[self.support[:, 0] > 0].mean(axis=0)
        out["cohen_kappa"] = self._kappa()
        out["mcc"] = self._mcc()
        return out

    def _kappa(self) -> Array:
        """(p_o - p_e) / (1 - p_e). Paper: Cohen 1960, Educ. Psychol. Meas. 20, eq. 1."""
        observed = self.hits.sum(axis=0) / self.n
        expected = (self.support * self.predicted).sum(axis=0) / self.n**2
        return _ratio(observed - expected, 1 - expected)

    def _mcc(self) -> Array:
        """R_K, the correlation of true and predicted class. Paper: Gorodkin 2004, Comput. Biol. Chem. 28, eq. 8."""
        covariance = self.hits.sum(axis=0) * self.n - (self.support * self.predicted).sum(axis=0)
        spread_true = self.n**2 - (self.support**2).sum(axis=0)
        spread_predicted = self.n**2 - (self.predicted**2).sum(axis=0)
        return _ratio(covariance, np.sqrt(spread_true * spread_predicted))


def _ratio(above: Array, below: Array) -> Array:
    """above / below, NaN where `below` is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
