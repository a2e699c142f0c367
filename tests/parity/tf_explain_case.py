"""A small network, images, and how alike two sets of maps are: what the tests against tf-explain share."""

from __future__ import annotations

import numpy as np

from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets

L = keras.layers


def model(*head, shape=(24, 24, 3)):
    keras.utils.set_random_seed(3)
    body = [L.Input(shape), L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(), L.Flatten()]
    return Classifier.from_network(keras.Sequential([*body, *head]))


def case(shape=(24, 24, 3), n=5, high=1.0):
    values = np.random.default_rng(6).uniform(0, high, (n, *shape)).astype(np.float32)
    images = Images(values, tuple(f"x/{i}" for i in range(n)), np.zeros(3, np.float32), np.full(3, high, np.float32))
    return images, Targets(np.arange(n, dtype=np.int64) % 5)


def correlations(ours, theirs):
    return np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(ours, theirs, strict=True)])
