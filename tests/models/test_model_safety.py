"""Files made to do harm, files that are broken, and files that are neither."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.safety import inspect


def refusal(path: Path, *, allow_code: bool = False) -> str:
    """The sentence a user reads; it names the file and is one sentence."""
    with pytest.raises(ModelError) as caught:
        inspect(path, allow_code=allow_code)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    assert len(sentence.removeprefix(str(path))) < 400
    return sentence


def rewritten(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a .keras file whose config was changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(item, data)
    return target


def evil_network(marker: Path) -> Any:
    """A classifier with a Lambda that writes `marker` whenever it is called."""
    import keras
    from keras import layers

    # The path must be part of the code: Keras stores a lambda's byte code and nothing around it.
    evil = layers.Lambda(eval(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]"), name="harmless")
    evil_parts = [keras.Input((8, 8, 3)), evil, layers.Flatten(), layers.Dense(3, activation="softmax")]
    return keras.Sequential(evil_parts, name="evil")


@pytest.mark.parametrize("name", ["evil.keras", "evil.h5"])
def test_a_lambda_does_not_run_unless_trusted(tmp_path: Path, name: str) -> None:
    from fruitaudit.models.keras.classifier import open_classifier

    marker = tmp_path / "marker"
    evil_network(marker).save(tmp_path / name)
    marker.unlink()
    with pytest.raises(ModelError, match=r"layer 'harmless' \(Lambda\) is a Python function.*--allow-code"):
        open_classifier(tmp_path / name)
    assert not marker.exists()
    trusted = open_classifier(tmp_path / name, allow_code=True)
    assert trusted.n_classes == 3
    assert marker.exists(), "the file really is code"
    assert "trusted by the user: 'harmless' (Lambda)" in trusted.loaded.notes[0]


def test_a_savedmodel_does_not_run_unless_trusted(tmp_path: Path) -> None:
    import tensorflow as tf

    from fruitaudit.models.keras.classifier import open_classifier

    marker = tmp_path / "marker"

    class Evil(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
        def serve(self, images: Any) -> Any:
            tf.io.write_file(str(marker), "written")
            return {"scores": tf.nn.softmax(tf.reduce_mean(images, axis=(1, 2)))}

    evil = Evil()
    tf.saved_model.save(evil, str(tmp_path / "evil"), signatures={"serving_default": evil.serve})
    assert not marker.exists()
    with pytest.raises(ModelError, match=r"a SavedModel is a program.*--allow-code"):
        open_classifier(tmp_path / "evil")
    assert not marker.exists()
    assert open_classifier(tmp_path / "evil", allow_code=True).n_classes == 3


def test_a_lambda_is_found_however_deep(tmp_path: Path) -> None:
    import keras
    from keras import layers

    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.TimeDistributed(layers.Lambda(lambda x: x, name="deep"))])
    images = keras.Input((8, 8, 3))
    scores = layers.Dense(3, activation="softmax")(layers.Flatten()(inner(images)))
    keras.Model(images, scores).save(tmp_path / "nested.keras")
    assert "'deep' (Lambda)" in refusal(tmp_path / "nested.keras")


@pytest.mark.parametrize("kind", ["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__"])
def test_layers_that_bring_programs_are_code(saved: Path, tmp_path: Path, kind: str) -> None:
    def plant(config: dict[str, Any]) -> None:
        config["config"]["layers"][2]["config"]["hook"] = {
            "class_name": "Bidirectional",
            "module": "keras.layers",
            "config": {"layer": {"class_name": kind, "module": "keras.layers", "config": {"name": "planted"}}},
        }

    path = rewritten(saved / "model.keras", tmp_path / "planted.keras", plant)
    assert f"'planted' ({kind})" in refusal(path)
    assert "--allow-code" in refusal(path)


@pytest.mark.parametrize("allow_code", [False, True])
@pytest.mark.parametrize("name", ["relu", "gelu", "Custom>gelu", "mine"])
def test_a_function_of_the_makers_own_is_not_taken_for_one_of_keras(
    saved: Path, tmp_path: Path, name: str, allow_code: bool
) -> None:
    def plant(config: dict[str, Any]) -> None:
        function = {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
        config["config"]["layers"][1]["config"]["activation"] = function

    sentence = refusal(rewritten(saved / "model.keras", tmp_path / "own.keras", plant), allow_code=allow_code)
    assert f"the function '{name}' is code of the model's maker, which the file only names" in sentence
    assert "SavedModel" in sentence


def test_a_class_of_the_makers_own_named_like_one_of_keras_is_refused(tmp_path: Path) -> None:
    import keras

    class ReLU(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    layers = [keras.Input((4, 4, 3)), ReLU(), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential(layers).save(tmp_path / "own.keras")
    assert "is of the class ReLU" in refusal(tmp_path / "own.keras")


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("keras.utils", "get_file"), ("keras.src.saving.saving_lib", "load_model"), ("kerasevil", "X")],
)
@pytest.mark.parametrize("allow_code", [False, True])
def test_classes_outside_of_keras_are_refused(
    saved: Path, tmp_path: Path, module: str, name: str, allow_code: bool
) -> None:
    def plant(config: dict[str, Any]) -> None:
        config["config"]["layers"][1].update(module=module, class_name=name)

    path = rewritten(saved / "model.keras", tmp_path / "planted.keras", plant)
    sentence = refusal(path, allow_code=allow_code)
    assert f"'conv_1' is of the class {name} ({module})" in sentence
    assert "SavedModel" in sentence


def test_a_registered_custom_class_is_sent_to_a_savedmodel(tmp_path: Path) -> None:
    import keras
    from keras import layers

    @keras.saving.register_keras_serializable(package="shop")
    class Twice(layers.Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

    for name in ("custom.keras", "custom.h5"):
        keras.Sequential([keras.Input((4, 4, 3)), Twice(name="twice"), layers.Flatten(), layers.Dense(2)]).save(
            tmp_path / name
        )
        assert "of the class" in refusal(tmp_path / name)
        assert "SavedModel" in refusal(tmp_path / name)


@pytest.mark.parametrize("entry", ["../evil", "/etc/evil", "assets/../../evil", "..\\evil", "C:\\evil"])
def test_entries_that_leave_the_archive_are_refused(saved: Path, tmp_path: Path, entry: str) -> None:
    path = Path(shutil.copy(saved / "model.keras", tmp_path / "model.keras"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, b"x")
    assert "points out of the archive" in refusal(path)
    assert not (tmp_path.parent / "evil").exists()


def test_links_foreign_entries_and_doubles_are_refused(saved: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    for i, (entry, message) in enumerate([
        (link, "points out"), ("model.pkl", "'model.pkl', which is no part"), ("config.json", "two entries")
    ]):  # fmt: skip
        path = Path(shutil.copy(saved / "model.keras", tmp_path / f"{i}.keras"))
        with zipfile.ZipFile(path, "a") as archive:
            if entry == "config.json":
                with pytest.warns(UserWarning, match="Duplicate"):
                    archive.writestr(entry, b"{}")
            else:
                archive.writestr(entry, b"/etc/passwd")
        assert message in refusal(path)


def test_bombs_are_refused_before_they_unfold(saved: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(saved / "model.keras", tmp_path / "zip.keras"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(80 << 20))
    assert "decompression bomb" in refusal(path)
    path = Path(shutil.copy(saved / "model.h5", tmp_path / "hdf5.h5"))
    with h5py.File(path, "a") as file:
        file.create_dataset("zeros", shape=(10**9,), dtype="f4", chunks=True, compression="gzip")
    assert "decompression bomb" in refusal(path)


def test_weights_in_other_files_are_refused(saved: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"0123456789abcdef")
    for i, plant in enumerate((
        lambda file: file.__setitem__("link", h5py.ExternalLink(str(secret), "/x")),
        lambda file: file.__setitem__("link", h5py.SoftLink("/model_weights")),
        lambda file: file.create_dataset("away", (4,), "f4", external=[(str(secret), 0, 16)]),
    )):  # fmt: skip
        path = Path(shutil.copy(saved / "model.h5", tmp_path / f"{i}.h5"))
        with h5py.File(path, "a") as file:
            plant(file)
        assert "made to do harm" in refusal(path)


def test_broken_files_have_a_sentence(saved: Path, tmp_path: Path) -> None:
    whole = (saved / "model.keras").read_bytes()
    whole_h5 = (saved / "model.h5").read_bytes()
    files = {
        "empty.keras": (b"", "is empty"),
        "text.keras": (b"not a model", "damaged"),
        "half.keras": (whole[: len(whole) // 2], "damaged"),
        "flipped.keras": (whole.replace(b'"class_name"', b'"class_nam!"'), "damaged"),
        "text.h5": (b"not a model", "damaged"),
        "half.h5": (whole_h5[: len(whole_h5) // 2], "damaged"),
        "model.pkl": (b"\x80\x04", "not a .pkl"),
        "model.pt": (b"x", "not a .pt"),
        "model": (b"x", "file without suffix"),
    }
    for name, (content, message) in files.items():
        (tmp_path / name).write_bytes(content)
        assert message in refusal(tmp_path / name), name
    assert "no such model file" in refusal(tmp_path / "missing.keras")
    (tmp_path / "folder").mkdir()
    assert "no SavedModel" in refusal(tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert "no Keras model" in refusal(tmp_path / "other.keras")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["kernel"] = [1.0]
    assert "weights without the model" in refusal(tmp_path / "weights.h5")
    assert "does not describe" in refusal(
        rewritten(saved / "model.keras", tmp_path / "nothing.keras", lambda config: config.clear())
    )


def test_plain_files_pass_without_trust(saved: Path) -> None:
    for name, kind in (("model.keras", "keras"), ("model.h5", "h5")):
        inspected = inspect(saved / name, allow_code=False)
        assert (inspected.format, inspected.code) == (kind, ())
        assert inspected.keras_version.startswith("3.")


@pytest.mark.slow
def test_every_kind_of_the_zoo_that_keras_can_save_passes(tmp_path: Path) -> None:
    import zoo

    for kind in ("nested_functional", "resnet", "vit", "mixed_float16", "gelu"):
        network = zoo.KINDS[kind]()
        network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        network.save(tmp_path / f"{kind}.keras")
        assert inspect(tmp_path / f"{kind}.keras", allow_code=False).code == ()


def test_safety_and_the_package_import_no_tensorflow() -> None:
    code = "import sys, fruitaudit.models.keras.safety; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_under_a_name_that_keras_reads_as_another_format(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.h5", "w") as archive:
        archive.writestr("config.json", "{}")
    assert "this is a .keras file; rename it to model.keras" in refusal(tmp_path / "model.h5")
    (tmp_path / "model.h5").rename(tmp_path / "MODEL.KERAS")
    assert "Keras reads .keras in small letters only; rename it to MODEL.keras" in refusal(tmp_path / "MODEL.KERAS")
    h5py.File(tmp_path / "weights.keras", "w").close()
    assert "this is a .h5 file; rename it to weights.h5" in refusal(tmp_path / "weights.keras")


@pytest.mark.parametrize("value", [1, 1.5, b"\xff\xfe{", "", "[]", "null", [1, 2], ["{}"], True, "é" * 9], ids=repr)
def test_a_description_that_is_none_has_a_sentence(value: Any, saved: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(saved / "model.h5", tmp_path / "odd.h5"))
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = value
    assert re.search("does not describe a Keras model|is damaged or no .h5 file", refusal(path))


def test_attributes_of_odd_types_have_a_sentence(saved: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(saved / "model.h5", tmp_path / "odd.h5"))
    for name, value in (("model_config", h5py.Empty("f4")), ("model_config", np.void(b"x"))):
        with h5py.File(path, "a") as file:
            file.attrs[name] = value
        assert "does not describe a Keras model" in refusal(path)
    path = Path(shutil.copy(saved / "model.h5", tmp_path / "version.h5"))
    for version in (3, [1, 2], b"\xff", "x" * 9000, h5py.Empty("f4"), "2.\n0"):
        with h5py.File(path, "a") as file:
            file.attrs["keras_version"] = version
        assert inspect(path, allow_code=False).keras_version is None


@pytest.mark.parametrize("metadata", ["[]", "3", "null", '"x"', '{"keras_version": 3}', '{"keras_version": [1]}'])
def test_metadata_that_says_nothing_is_no_obstacle(metadata: str, saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved / "model.keras") as old, zipfile.ZipFile(tmp_path / "m.keras", "w") as new:
        for item in old.infolist():
            new.writestr(item, metadata if item.filename == "metadata.json" else old.read(item))
    assert inspect(tmp_path / "m.keras", allow_code=False).keras_version is None


def test_weights_that_lead_back_to_themselves_are_refused_at_once(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fruitaudit.models.keras.containers._MAX_ENTRIES", 200)

    def circle(file: Any) -> None:
        file["model_weights/loop"] = file["/"]

    def tree(file: Any) -> None:
        """2^60 paths through 61 groups."""
        group = file.create_group("level0")
        for _ in range(60):
            group = group.create_group("a")
            group.parent["b"] = group

    def crowd(file: Any) -> None:
        for i in range(201):
            h5py.h5g.create(file.id, f"g{i}".encode())

    for i, (plant, message) in enumerate(
        ((circle, "another name"), (tree, "another name"), (crowd, "over 200 entries"))
    ):
        path = Path(shutil.copy(saved / "model.h5", tmp_path / f"{i}.h5"))
        with h5py.File(path, "a") as file:
            plant(file)
        assert message in refusal(path)


def test_entries_that_share_their_bytes_are_refused(saved: Path, tmp_path: Path) -> None:
    """One block of zeros under many names, each of which unfolds on its own."""
    path = Path(shutil.copy(saved / "model.keras", tmp_path / "shared.keras"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("assets/0", bytes(500_000))
        first = archive.getinfo("assets/0")
        for i in range(1, 50):
            copy = zipfile.ZipInfo(f"assets/{i}")
            copy.header_offset, copy.CRC = first.header_offset, first.CRC
            copy.file_size = copy.compress_size = first.file_size
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
    assert "share their bytes" in refusal(path)


def test_a_long_name_of_a_layer_leaves_the_sentence_short(saved: Path, tmp_path: Path) -> None:
    def plant(config: dict[str, Any]) -> None:
        item = config["config"]["layers"][2]
        item["config"]["name"], item["class_name"] = "a\n\x1b[31m" * 9000, "Lambda"

    sentence = refusal(rewritten(saved / "model.keras", tmp_path / "long.keras", plant))
    assert "is a Python function" in sentence
    assert sentence.isprintable()
