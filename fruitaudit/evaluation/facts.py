"""What every figure of a split is made of, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fruitaudit.evaluation.calibration import BINS, bin_of, brier_per_image, ece_of_sums, log_loss_per_image
from fruitaudit.evaluation.curves import Sweep
from fruitaudit.evaluation.tally import Tally
from fruitaudit.records.data import BoolArray, FloatArray, IntArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.statistics.bootstrap import Array
from fruitaudit.statistics.groups import design_effect


@dataclass(frozen=True)
class Facts:
    """Per image (N,): `labels`, `predicted`, `correct`, `confidence`, `per_image` scores. Per class (K,): counts of
    images (`support`), of predictions (`predicted_counts`) and of both (`hits`).

    `ranked` are the classes with positives and negatives, `sweeps` theirs; `micro` pools all (image, class) pairs.
    """

    labels: IntArray
    predicted: IntArray
    correct: BoolArray
    confidence: FloatArray
    per_image: Mapping[str, Array]
    support: IntArray
    predicted_counts: IntArray
    hits: IntArray
    sweeps: Mapping[int, Sweep]
    micro: Sweep | None
    groups: IntArray | None = None
    """(N,) the number of each image's group, None where the data names none."""

    @classmethod
    def of(cls, predictions: Predictions) -> Facts:
        labels, predicted, p = predictions.labels, predictions.predicted, predictions.probabilities
        n, k = p.shape
        correct = predicted == labels
        support, predicted_counts, hits = (
            np.bincount(rows, minlength=k) for rows in (labels, predicted, labels[correct])
        )
        ranked = np.flatnonzero((support > 0) & (support < n)).tolist()
        one_hot = labels[:, None] == np.arange(k)
        confidence = p.max(axis=1)
        per_image = {
            "log_loss": log_loss_per_image(predictions.logits, labels),
            "brier": brier_per_image(p, labels),
            "mean_confidence": confidence.astype(np.float64),
        }
        sweeps = {c: Sweep.of(p[:, c], one_hot[:, c]) for c in ranked}
        micro = Sweep.of(p.ravel(), one_hot.ravel()) if n and k > 1 else None
        return cls(labels, predicted, correct, confidence, per_image, support, predicted_counts, hits, sweeps, micro,
                   predictions.groups)  # fmt: skip

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def n_effective(self) -> float:
        """How many independent images would tell as much of the accuracy."""
        return float(self.n) if self.groups is None else design_effect(self.correct, self.groups).n_effective

    def units(self, rows: BoolArray) -> int:
        """Groups among these images (N,); where the data names none, the images."""
        return int(rows.sum()) if self.groups is None else len(np.unique(self.groups[rows]))

    @property
    def occurring(self) -> BoolArray:
        """(K,): classes that occur as a true or a predicted class."""
        return (self.support > 0) | (self.predicted_counts > 0)

    def figures(self) -> dict[str, Array]:
        """All figures by name: scalars () and per-class figures (K,), NaN where undefined."""
        tally = Tally(
            *(counts[:, None].astype(np.float64) for counts in (self.support, self.predicted_counts, self.hits))
        )
        out = {name: values[..., 0] for name, values in tally.figures(self.occurring).items()}
        out |= {name: np.asarray(values.mean()) for name, values in self.per_image.items()}
        gap = self.confidence.astype(np.float64) - self.correct
        gaps = np.bincount(bin_of(self.confidence), weights=gap, minlength=BINS).astype(np.float64)
        out["ece"] = ece_of_sums(gaps, self.n)
        auc, precision = np.full((2, len(self.support)), np.nan)
        for c, sweep in self.sweeps.items():
            auc[c], precision[c] = sweep.auc, sweep.average_precision
        out |= {"auc": auc, "average_precision": precision}
        ranked = list(self.sweeps)
        out["auc_macro"] = auc[ranked].mean() if ranked else np.asarray(np.nan)
        out["average_precision_macro"] = precision[ranked].mean() if ranked else np.asarray(np.nan)
        out["auc_micro"] = np.asarray(self.micro.auc if self.micro else np.nan)
        return out
