"""shap.PartitionExplainer against the native Partition SHAP: one tree, one order of splits, one result."""

from __future__ import annotations

import numpy as np
import pytest

from fruitaudit.attribution.methods.partition_shap import PartitionShap
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


class Wavy:
    """A smooth score of all pixels together, so that no two tiles have the same effect."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.batch_size, self.n_classes = 64, 2
        self.w = np.random.default_rng(0).normal(0, 0.4, (*shape, 3))

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        hidden = np.tanh(np.tensordot(values.astype(np.float64), self.w, 3))
        p = 1 / (1 + np.exp(-hidden @ [1.0, -2.0, 0.5] - hidden.prod(axis=1)))
        return np.stack([1 - p, p], axis=1)


@pytest.mark.parametrize("samples", [172, 302, 1000])
def test_equals_the_package_split_for_split(samples: int) -> None:
    """Also where the budget ends before the pixels do, and on sides that are odd."""
    shap = pytest.importorskip("shap")
    shape, ends = (9, 14, 1), (np.zeros(1, np.float32), np.ones(1, np.float32))
    values = np.random.default_rng(1).uniform(0.1, 0.9, (2, *shape)).astype(np.float32)
    model = Wavy(shape)
    made = PartitionShap(samples=samples, hide="black")(
        model, Images(values, ("a", "b"), *ends), Targets(np.array([1, 1])), Streams(0)
    )
    masker = shap.maskers.Image(np.zeros(shape), shape)
    explainer = shap.PartitionExplainer(lambda x: model.probabilities(x)[:, 1], masker)
    theirs = explainer(values, max_evals=samples, batch_size=64, silent=True)
    np.testing.assert_allclose(made.values, theirs.values[..., 0], atol=1e-6)
