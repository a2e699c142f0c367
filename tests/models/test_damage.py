"""Weights that are no numbers are refused, wherever in a model they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo

from fruitaudit.errors import ModelError


def spoilt(network: Any, index: int, value: float, everywhere: bool = True) -> Any:
    weights = [np.array(weight) for weight in network.get_weights()]
    weights[index].reshape(-1)[: None if everywhere else 1] = value
    network.set_weights(weights)
    return network


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize(("value", "everywhere"), [(np.nan, True), (np.nan, False), (-np.inf, False)])
def test_a_kernel_that_is_no_number_is_refused_with_its_layer(
    tmp_path: Path, name: str, value: float, everywhere: bool
) -> None:
    """In front of a ReLU, where compiled TensorFlow hides it."""
    from fruitaudit.models.keras.classifier import open_classifier

    network = spoilt(zoo.KINDS["sequential"](), 0, value, everywhere)
    network.save(tmp_path / name)
    with pytest.raises(ModelError) as caught:
        open_classifier(tmp_path / name)
    n = network.get_weights()[0].size
    assert str(caught.value) == (
        f"{tmp_path / name}: the layer '{network.layers[0].name}' is damaged: {n if everywhere else 1:,} of {n:,} "
        "numbers of its kernel are NaN or infinite; copy the file again, or train the model again"
    )


@pytest.mark.parametrize("kind", ["resnet", "mixed_float16", "subclassed", "nested_functional"])
def test_every_kind_of_model_is_looked_through(kind: str) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    network = zoo.KINDS[kind]()
    for index in (0, len(network.get_weights()) // 2, len(network.get_weights()) - 1):
        before = network.get_weights()
        with pytest.raises(ModelError, match="is damaged: 1 of"):
            Classifier.from_network(spoilt(network, index, np.nan, everywhere=False))
        network.set_weights(before)
    Classifier.from_network(network)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch", "no such"])
def test_another_backend_in_the_environment_is_not_taken(backend: str) -> None:
    script = "from fruitaudit.models.keras.backend import keras; print(keras.backend.backend())"
    env = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "tensorflow\n", done.stderr


@pytest.mark.slow
def test_keras_that_runs_on_another_backend_is_refused_in_one_sentence() -> None:
    script = ("import keras, keras.backend as b; b.backend = lambda: 'jax'\n"
              "from fruitaudit.errors import MachineError\n"
              "try:\n    import fruitaudit.models.keras.backend\nexcept MachineError as e: print(e)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Keras was imported with jax before fruitaudit"), done.stderr
