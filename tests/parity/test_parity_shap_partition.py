"""shap.PartitionExplainer against the native Partition SHAP: one tree, one order of splits, one result."""

from __future__ import annotations

import numpy as np
import pytest
from analytic_models import Wavy

from fruitaudit.attribution.methods.partition_shap import PartitionShap
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


@pytest.mark.parametrize("samples", [172, 302, 1000])
def test_equals_the_package_split_for_split(samples: int) -> None:
    """Also where the budget ends before the pixels do, and on sides that are odd."""
    shap = pytest.importorskip("shap")
    shape, ends = (9, 14, 1), (np.zeros(1, np.float32), np.ones(1, np.float32))
    values = np.random.default_rng(1).uniform(0.1, 0.9, (2, *shape)).astype(np.float32)
    model = Wavy(shape)
    explanation = PartitionShap(samples=samples, hide="black")(
        model, Images(values, ("a", "b"), *ends), Targets(np.array([1, 1])), Streams(0)
    )
    masker = shap.maskers.Image(np.zeros(shape), shape)
    explainer = shap.PartitionExplainer(lambda x: model.probabilities(x)[:, 1], masker)
    theirs = explainer(values, max_evals=samples, batch_size=64, silent=True)
    np.testing.assert_allclose(explanation.values, theirs.values[..., 0], atol=1e-6)
