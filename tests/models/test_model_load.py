"""Files Keras can load, and a sentence for those it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fruitaudit.errors import ModelError
from fruitaudit.runtime.hashes import sha256_of_file


def test_every_format_is_named_and_hashed(saved: Path) -> None:
    from fruitaudit.models.keras.load import load_network

    for name, kind in (("model.keras", "keras"), ("model.h5", "h5"), ("saved_model", "savedmodel")):
        loaded = load_network(saved / name, allow_code=kind == "savedmodel")
        assert loaded.format == kind
        assert loaded.sha256 == sha256_of_file(saved / name)
        assert bool(loaded.notes) == (kind == "savedmodel")


def test_keras_2_and_keras_3_files_of_one_model_agree(store16: Path) -> None:
    from fruitaudit.models.keras.classifier import open_classifier

    new, old = (open_classifier(store16 / "models" / n) for n in ("fruit_cnn.keras", "fruit_cnn_keras2.h5"))
    x = np.random.default_rng(0).random((4, 100, 100, 3), dtype=np.float32)
    np.testing.assert_allclose(new.logits(x), old.logits(x), atol=1e-4)
    assert old.loaded.notes == (f"translated from Keras 2.21.0, read by Keras {__import__('keras').__version__}",)


def test_a_keras_2_file_that_keras_3_cannot_read_says_what_to_do(tmp_path: Path) -> None:
    """A depthwise layer in groups, which Keras 3 has not, and a key that the translation does not know."""
    import keras
    from keras import layers

    from fruitaudit.models.keras.load import load_network

    path = tmp_path / "mobilenet.h5"
    keras.Sequential([keras.Input((8, 8, 3)), layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(2)]).save(path)

    def sentence_with(key: str, value: int) -> str:
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"][1]["config"][key] = value
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = "2.15.0"
        with pytest.raises(ModelError) as caught:
            load_network(path, allow_code=False)
        return str(caught.value)

    sentence = sentence_with("news", 1)
    assert sentence.startswith(f"{path}: it was saved by Keras 2.15.0, and Keras {keras.__version__} cannot read it")
    assert "Unrecognized keyword arguments" in sentence
    sentence = sentence_with("groups", 2)
    assert sentence.startswith(f"{path}: it was saved by Keras 2.15.0, and 'depthwise_conv2d")
    assert "has groups '2', which Keras 3 has not" in sentence
    assert "SavedModel with the TensorFlow that made it" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600


@pytest.mark.parametrize("version", ["3.99.0", "4.0.0.dev1"])
def test_a_file_of_a_newer_keras_says_so(saved: Path, tmp_path: Path, version: str) -> None:
    import zipfile

    from fruitaudit.models.keras.load import load_network

    path = tmp_path / "model.keras"
    with zipfile.ZipFile(saved / "model.keras") as old, zipfile.ZipFile(path, "w") as new:
        for item in old.infolist():
            data = old.read(item).replace(b'"filters": 12', b'"filters": 12, "news": 1')
            new.writestr(item, json.dumps({"keras_version": version}) if item.filename == "metadata.json" else data)
    with pytest.raises(ModelError, match=rf"saved by Keras {version}, which is newer than .*; install keras {version}"):
        load_network(path, allow_code=False)


def test_an_input_with_channels_first_is_said() -> None:
    import keras

    from fruitaudit.models.keras.shapes import input_shape_of

    images = keras.Input((3, 16, 24))
    with pytest.raises(ModelError, match=r"arrays of 3 x 16 x 24, which looks like channels first; put .*Permute"):
        input_shape_of(keras.Model(images, keras.layers.Flatten()(images)), None)


def test_weights_that_do_not_fit_have_a_sentence(saved: Path, tmp_path: Path) -> None:
    import zipfile

    from fruitaudit.models.keras.load import load_network

    path = tmp_path / "model.keras"
    with zipfile.ZipFile(saved / "model.keras") as old, zipfile.ZipFile(path, "w") as new:
        for item in old.infolist():
            new.writestr(item, old.read(item).replace(b'"filters": 12', b'"filters": 13'))
    with pytest.raises(ModelError, match="cannot load it") as caught:
        load_network(path, allow_code=False)
    assert "\n" not in str(caught.value)


def test_a_savedmodel_with_two_outputs_or_no_image_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    from fruitaudit.models.keras.load import load_network

    class Program(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
        def two(self, images: Any) -> Any:
            return {"a": tf.reduce_mean(images, axis=(1, 2)), "b": tf.reduce_max(images, axis=(1, 2))}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
        def words(self, texts: Any) -> Any:
            return {"n": tf.strings.length(texts)}

    program = Program()
    tf.saved_model.save(program, str(tmp_path / "two"), signatures={"serving_default": program.two})
    tf.saved_model.save(program, str(tmp_path / "words"), signatures={"serving_default": program.words})
    tf.saved_model.save(program, str(tmp_path / "none"))
    for name, message in (("two", r"2 outputs \(a, b\)"), ("words", "takes string"), ("none", "no serving function")):
        with pytest.raises(ModelError, match=message):
            load_network(tmp_path / name, allow_code=True)
    (tmp_path / "none" / "saved_model.pb").write_bytes(b"\xff" * 50)
    with pytest.raises(ModelError, match="damaged"):
        load_network(tmp_path / "none", allow_code=True)


@pytest.mark.slow
def test_opening_a_model_is_quiet(saved: Path) -> None:
    code = "import sys; from pathlib import Path; from fruitaudit.models.keras.classifier import open_classifier\n"
    code += "open_classifier(Path(sys.argv[1])).cam_layer"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved / "model.keras")],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


NAMES = ["fruit classifier", "früchte", "-m", "_m", "m.", "m%s{}", "果", "a\\b", "a:b;c", "x" * 300, " ", "\u202em"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_and_its_layers_may_be_named_anything(name: str, tmp_path: Path) -> None:
    import keras
    from keras import layers

    from fruitaudit.models.keras.classifier import open_classifier

    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name=f"{name}1")(images)
    inner = keras.Sequential([layers.GlobalAveragePooling2D(name=f"{name}2")], name=f"{name}3")
    keras.Model(images, layers.Dense(3, "softmax", name=f"{name}4")(inner(x)), name=name).save(tmp_path / "m.keras")
    model = open_classifier(tmp_path / "m.keras")
    values = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)
    assert model.probabilities(values).shape == (2, 3)
    assert model.gradient(values, np.array([0, 1])).shape == values.shape
    assert model.cam_layer == f"{name}1"
    assert model.layer_gradients(values, np.array([0, 1]), f"{name}1").activations.shape == (2, 6, 6, 4)
    assert model.network.name == name


@pytest.mark.parametrize("name", ["my mödel 1", "-m", "m.", "果", "%s {}", "a\nb"])
def test_a_file_may_be_named_anything(name: str, saved: Path, tmp_path: Path) -> None:
    from fruitaudit.models.keras.load import load_network

    for suffix in (".keras", ".h5"):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes((saved / f"model{suffix}").read_bytes())
        assert load_network(path, allow_code=False).network.name == "small_cnn"


def test_what_keras_raises_for_a_changed_description_is_a_sentence(saved: Path, tmp_path: Path) -> None:
    import zipfile

    from fruitaudit.models.keras.classifier import open_classifier

    def changed(number: int, old: bytes, new: bytes) -> Path:
        path = tmp_path / f"{number}.keras"
        with zipfile.ZipFile(saved / "model.keras") as source, zipfile.ZipFile(path, "w") as target:
            for item in source.infolist():
                data = source.read(item)
                assert item.filename != "config.json" or old in data
                target.writestr(item, data.replace(old, new))
        return path

    for i, (old, new) in enumerate((
        (b'"pool_size": [2, 2]', b'"pool_size": [2, 0]'),
        (b'"activation": "relu"', b'"activation": NaN'),
        (b'"activation": "relu"', b'"activation": {"class_name": 3}'),
        (b'"padding": "valid"', b'"padding": 1e999'),
        (b'"config": {"name": "conv_2"', b'"config": {"name": ["conv_2"]'),
        (b'"rate": 0.5', b'"rate": "x"'),
        (b'"rate": 0.5', b'"rate": ' + b"9" * 5000),
        (b'"units": 5', b'"units": 0'),
        (b'"class_name": "Flatten"', b'"class_name": "Flat"'),
        (b'"layers": [', b'"layers": [null, '),
    )):  # fmt: skip
        with pytest.raises(ModelError) as caught:
            open_classifier(changed(i, old, new))
        assert str(caught.value).startswith(str(tmp_path / f"{i}.keras"))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("shape", "units"), [((0, 8, 3), 3), ((8, 8, 0), 3), ((8, 8, 10**5), 2), ((8, 8, 3), 10**6)])
def test_inputs_and_outputs_of_odd_sizes(shape: tuple[int, ...], units: int, tmp_path: Path) -> None:
    """Empty images have a sentence; many channels or classes are odd, and work."""
    import keras
    from keras import layers

    from fruitaudit.models.keras.classifier import open_classifier

    parts = [keras.Input(shape), layers.GlobalAveragePooling2D(), layers.Dense(units, "softmax")]
    try:
        keras.Sequential(parts).save(tmp_path / "m.keras")
    except ValueError:
        pytest.skip("Keras builds no such model")
    if 0 in shape:
        with pytest.raises(ModelError, match="which are empty"):
            open_classifier(tmp_path / "m.keras")
    else:
        assert open_classifier(tmp_path / "m.keras").n_classes == units
