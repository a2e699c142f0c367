"""AUC and average precision of many weighted samples at once.

Both depend on a sample only through three sums at every score that a positive has: the weight of the positives there,
of the negatives there, and of the negatives between it and the next higher one. One sparse product makes these sums
for all resamples together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fruitaudit.records.data import BoolArray, FloatArray, IntArray
from fruitaudit.statistics.bootstrap import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Ranking:
    """A class against the rest. `sums` @ counts stacks positives, negatives and, if any, ties at T falling scores."""

    sums: csr_matrix
    n_scores: int
    n_positive: int
    n_negative: int

    @classmethod
    def of(cls, scores: FloatArray, positive: BoolArray, images: IntArray, n_images: int) -> Ranking:
        """`scores`, `positive` and the rows of their `images` are (M,); both kinds must occur."""
        from scipy.sparse import csr_matrix

        falling = -np.unique(scores[positive])[::-1]
        n_scores = len(falling)
        # Place of the score just at or below; negatives below every positive (n_scores) change neither figure.
        place = np.searchsorted(falling, -scores)
        counted = ~positive & (place < n_scores)
        tied = counted.copy()
        tied[counted] = falling[place[counted]] == -scores[counted]
        rows = np.concatenate([place[positive], place[counted] + n_scores, place[tied] + 2 * n_scores])
        columns = np.concatenate([images[positive], images[counted], images[tied]])
        shape = ((3 if tied.any() else 2) * n_scores, n_images)
        sums = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
        return cls(sums, n_scores, int(positive.sum()), int((~positive).sum()))

    def figures(self, counts: Array) -> tuple[Array, Array]:
        """AUC and average precision (B,) of resamples that hold image i `counts[i, b]` times, strata kept.

        AUC: share of (positive, negative) pairs ranked rightly, ties half. Average precision: sum over thresholds of
        (R_t - R_t-1) P_t, the step-wise area of scikit-learn.
        """
        positives, negatives, *ties = (self.sums @ counts).reshape(-1, self.n_scores, counts.shape[1])
        # float32 holds whole numbers up to 2^24 exactly; counts of groups are scaled and come in float64.
        whole = counts.dtype == np.float32 and self.n_positive + self.n_negative < 1 << 24
        exact = np.dtype(np.float32 if whole else np.float64)
        true_positives: Array = np.cumsum(positives, axis=0, dtype=exact)
        false_positives: Array = np.cumsum(negatives, axis=0, dtype=exact)
        negatives_below = self.n_negative - false_positives
        if ties:
            negatives_below += ties[0] / 2
        negatives_below /= self.n_negative
        false_positives += true_positives
        true_positives /= np.maximum(false_positives, 1e-9 if not whole else 1)
        auc, precision = (
            np.einsum("tb,tb->b", positives, part) / self.n_positive for part in (negatives_below, true_positives)
        )
        return auc, precision
