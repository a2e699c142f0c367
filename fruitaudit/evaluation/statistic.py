"""All resampled figures of a split as one function of how often each image is in a resample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fruitaudit.evaluation.calibration import BINS, bin_of, ece_of_sums
from fruitaudit.evaluation.facts import Facts
from fruitaudit.evaluation.ranking import Ranking
from fruitaudit.evaluation.tally import Tally
from fruitaudit.records.data import FloatArray
from fruitaudit.statistics.bootstrap import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class SplitStatistic:
    """`sums` @ counts stacks hits (K), predictions (K), calibration gaps (15), per-image scores about their mean."""

    facts: Facts
    sums: csr_matrix
    means: Mapping[str, float]
    rankings: Mapping[int, Ranking]
    micro: Ranking | None

    @classmethod
    def of(cls, facts: Facts, probabilities: FloatArray) -> SplitStatistic:
        n, k = probabilities.shape
        images = np.arange(n)
        means = {name: float(values.mean()) for name, values in facts.per_image.items()}
        one_hot = facts.labels[:, None] == np.arange(k)
        rankings = {c: Ranking.of(probabilities[:, c], one_hot[:, c], images, n) for c in facts.sweeps}
        micro = Ranking.of(probabilities.ravel(), one_hot.ravel(), np.repeat(images, k), n) if facts.micro else None
        return cls(facts, _sums(facts, means), means, rankings, micro)

    def __call__(self, counts: Array) -> dict[str, Array]:
        """counts (N, B) -> scalars (B,) and per-class figures (K, B), by name."""
        facts, k = self.facts, len(self.facts.support)
        hits, predicted_counts, gaps, centred = np.split(self.sums @ counts, [k, 2 * k, 2 * k + BINS])
        out = Tally(facts.support[:, None].astype(np.float64), predicted_counts, hits).figures(facts.occurring)
        out["ece"] = ece_of_sums(gaps, facts.n)
        out |= {name: centred[i] / facts.n + mean for i, (name, mean) in enumerate(self.means.items())}
        auc, precision = np.full((2, k, counts.shape[1]), np.nan)
        for c, ranking in self.rankings.items():
            auc[c], precision[c] = ranking.figures(counts)
        out |= {"auc": auc, "average_precision": precision}
        if self.rankings:
            ranked = list(self.rankings)
            out["auc_macro"], out["average_precision_macro"] = auc[ranked].mean(axis=0), precision[ranked].mean(axis=0)
        if self.micro:
            out["auc_micro"], _ = self.micro.figures(counts)
        return out


def _sums(facts: Facts, means: Mapping[str, float]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    n, k = facts.n, len(facts.support)
    images = np.arange(n)
    # Scores are summed about their mean, so that float32 sums keep their digits.
    centred = [values - means[name] for name, values in facts.per_image.items()]
    parts = [
        (facts.labels[facts.correct], images[facts.correct], np.ones(int(facts.correct.sum()))),
        (k + facts.predicted, images, np.ones(n)),
        (2 * k + bin_of(facts.confidence), images, facts.confidence - facts.correct),
        *((np.full(n, 2 * k + BINS + i), images, values) for i, values in enumerate(centred)),
    ]
    rows, columns, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return csr_matrix((values.astype(np.float32), (rows, columns)), shape=(2 * k + BINS + len(centred), n))
