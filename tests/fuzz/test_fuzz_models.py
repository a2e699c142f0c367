"""Model files: inspected without running anything; what is let through loads, or is refused in one sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import pytest
from fuzz.mutations import Outcomes, changed, damaged
from hypothesis import given
from hypothesis import strategies as st

from fruitaudit.models.keras.safety import inspect
from fruitaudit.models.open import open_model

KERAS2 = Path(__file__).parents[1] / "models/keras2/tf2.15"
SEEDS = {"keras": None, "h5": None, "2.keras": "transfer_tf.keras", "2.h5": "transfer_caffe.h5",
         "2.ops.keras": "operations.keras", "2.deep.h5": "nested_three_deep.h5"}  # fmt: skip
"""By the end of their names: a small network that Keras 3 saves, and files of Keras 2."""
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small network in both formats, and files of Keras 2."""
    import keras
    from keras import layers

    folder = tmp_path_factory.mktemp("models")
    network = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.ReLU(), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    for suffix in ("keras", "h5"):
        network.save(folder / f"m.{suffix}")
    return {end: (KERAS2 / name if name else folder / f"m.{end}").read_bytes() for end, name in SEEDS.items()}


# HDF5 itself ends the process on some damage of the lists of names that Keras 2 writes.
@pytest.mark.parametrize("suffix", ["keras", "h5", "2.keras", "2.ops.keras"])
def test_bytes(models: dict[str, bytes], tmp_path: Path, suffix: str, examples) -> None:
    path = tmp_path / f"m.{suffix}"
    outcomes = Outcomes(path)

    @examples(150)
    @given(damaged(models[suffix]))
    def holds(content: bytes) -> None:
        path.write_bytes(content)
        outcomes.of(lambda: inspect(path, allow_code=False))

    holds()
    assert outcomes.seen == {"passed", "refused"}


def rewritten(source: bytes, path: Path, config: bytes) -> None:
    """The .keras file with another config.json, or the .h5 file with another model_config."""
    path.write_bytes(source)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = config.decode("utf-8", "replace").replace("\0", " ")
        return
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in (members | {"config.json": config}).items():
            new.writestr(name, content)


def config_of(source: bytes, path: Path) -> bytes:
    path.write_bytes(source)
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return str(file.attrs["model_config"]).encode()
    with zipfile.ZipFile(path) as archive:
        return archive.read("config.json")


@pytest.mark.parametrize("suffix", SEEDS)
def test_configs(models: dict[str, bytes], tmp_path: Path, suffix: str, examples) -> None:
    path = tmp_path / f"m.{suffix}"
    outcomes = Outcomes(path)
    config = config_of(models[suffix], path)

    @examples(120)
    @given(st.one_of(changed(json.loads(config)).map(lambda c: json.dumps(c).encode()), damaged(config)))
    def holds(content: bytes) -> None:
        rewritten(models[suffix], path, content)
        outcomes.of(lambda: inspect(path, allow_code=False))

    holds()
    assert outcomes.seen == {"passed", "refused"}


@pytest.mark.parametrize("suffix", SEEDS)
def test_loading(models: dict[str, bytes], tmp_path: Path, suffix: str, examples) -> None:
    path = tmp_path / f"m.{suffix}"
    outcomes = Outcomes(path)
    config = config_of(models[suffix], path)

    @examples(8)
    @given(changed(json.loads(config), most=1))
    def holds(content: object) -> None:
        rewritten(models[suffix], path, json.dumps(content).encode())
        outcomes.of(lambda: open_model(path))

    holds()
    assert outcomes.seen == {"passed", "refused"}
