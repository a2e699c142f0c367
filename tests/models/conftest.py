"""Classifiers of the zoo, built once a session, and one model saved in every format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo


@pytest.fixture(scope="session")
def classifier() -> Callable[[str], Any]:
    """`classifier("resnet")`: that kind of the zoo behind the door, the same object all session."""
    return partial(zoo.classifier, batch_size=4)


@pytest.fixture(scope="session")
def images() -> Callable[..., np.ndarray]:
    """`images(classifier, n)`: n seeded images that fit it, black to white."""

    def draw(model: Any, n: int = 6) -> np.ndarray:
        white = np.float32(zoo.TOP.get(model.network.name, 1))
        return white * np.random.default_rng(5).random((n, *model.input_shape), dtype=np.float32)

    return draw


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the zoo's "sequential" as model.keras, model.h5 and the SavedModel folder saved_model."""
    folder = tmp_path_factory.mktemp("saved")
    network = zoo.KINDS["sequential"]()
    network.save(folder / "model.keras")
    network.save(folder / "model.h5")
    network.export(folder / "saved_model", verbose=False)
    return folder
