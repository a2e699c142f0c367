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
    assert old.loaded.notes == (f"saved by Keras 2.21.0, read by Keras {__import__('keras').__version__}",)


def test_a_keras_2_file_that_keras_3_cannot_read_says_what_to_do(tmp_path: Path) -> None:
    """As MobileNetV2 saved by Keras 2: its depthwise layers have an argument that Keras 3 does not know."""
    import keras
    from keras import layers

    from fruitaudit.models.keras.load import load_network

    path = tmp_path / "mobilenet.h5"
    keras.Sequential([keras.Input((8, 8, 3)), layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(2)]).save(path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    with pytest.raises(ModelError) as caught:
        load_network(path, allow_code=False)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: it was saved by Keras 2.15.0, and Keras {keras.__version__} cannot read it")
    assert "Unrecognized keyword arguments" in sentence
    assert "SavedModel with the Keras that made it" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600


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


def test_opening_a_model_is_quiet(saved: Path) -> None:
    code = "import sys; from pathlib import Path; from fruitaudit.models.keras.classifier import open_classifier\n"
    code += "open_classifier(Path(sys.argv[1])).cam_layer"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved / "model.keras")],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
