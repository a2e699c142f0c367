"""Small sets of predictions for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from fruitaudit.records.evaluation import Predictions


def predictions(
    labels: Sequence[int], probabilities: object, *, split: str = "store", names: Sequence[str] = ()
) -> Predictions:
    """Probabilities as they are; logits are their logarithms."""
    p = np.asarray(probabilities, dtype=np.float32)
    names = tuple(names) or tuple(f"class {i}" for i in range(p.shape[1]))
    ids = tuple(f"{split}/{i}" for i in range(len(labels)))
    logits = np.log(np.maximum(p, 1e-30)).astype(np.float32)
    return Predictions(split, "field", names, ids, np.asarray(labels, dtype=np.int64), p, logits)


def random_predictions(n: int, k: int, seed: int, *, skill: float = 1.0, split: str = "store") -> Predictions:
    """Images of all classes in turn, from a model whose logit of the true class is `skill` higher on average."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    logits = rng.normal(size=(n, k)).astype(np.float32)
    logits[np.arange(n), labels] += skill
    ids = tuple(f"{split}/{i}" for i in range(n))
    names = tuple(f"class {i}" for i in range(k))
    return Predictions(split, "field", names, ids, labels.astype(np.int64), softmax(logits, axis=1), logits)


def called(labels: Sequence[int], answers: Sequence[int], k: int, *, sure: float = 0.9) -> Predictions:
    """A model that answers `answers`, always equally sure; the rest is shared among the other classes."""
    p = np.full((len(labels), k), (1 - sure) / max(1, k - 1))
    p[np.arange(len(labels)), answers] = sure
    return predictions(labels, p)
