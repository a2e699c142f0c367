"""Files of Keras 2, made in TensorFlow 2.13 to 2.15 by `benchmarks/keras2.py`: the same answers, or one sentence."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fruitaudit.errors import AuditError, ModelError
from fruitaudit.models.keras.keras2.operation_sizes import operation_size
from fruitaudit.models.keras.keras2.operations import OPERATIONS
from fruitaudit.models.keras.safety import inspect

FILES = Path(__file__).with_name("keras2")
QUICK = [
    "tf2.13/transfer_tf.keras", "tf2.15/activations.h5", "tf2.15/augmented.keras", "tf2.15/mixed_precision.keras",
    "tf2.15/nested_three_deep.h5", "tf2.15/operations.keras", "tf2.15/transfer_caffe.h5",
]  # fmt: skip
ALL = sorted(str(path.relative_to(FILES)) for path in FILES.rglob("*") if path.suffix in (".keras", ".h5"))
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ALL if name not in QUICK]


def test_the_files_are_at_least_twenty_models_and_small() -> None:
    assert len({Path(name).stem for name in ALL}) >= 20
    assert sum(path.stat().st_size for path in FILES.rglob("*") if path.is_file()) < 5_000_000


@pytest.mark.parametrize("name", [*QUICK, *OTHERS])
def test_the_answers_are_those_of_keras_2(name: str) -> None:
    from fruitaudit.models.keras.backend import keras
    from fruitaudit.models.keras.load import load_network

    path = FILES / name
    loaded = load_network(path, allow_code=False)
    with np.load(path.with_suffix(".npz")) as stored:
        images, limit = stored["images"], 2e-3 if stored["half"] else 1e-5
        wanted = [stored[name] for name in sorted(stored.files) if name.startswith("answers")]
    got = loaded.network(images.astype(loaded.network.inputs[0].dtype), training=False)
    for answer, right in zip(got if isinstance(got, list) else [got], wanted, strict=True):
        assert np.ptp(right, axis=0).max() > 10 * limit
        np.testing.assert_allclose(keras.ops.convert_to_numpy(answer), right, atol=limit)
    version = {"tf2.13": "2.13.1", "tf2.14": "2.14.0", "tf2.15": "2.15.0"}[path.parent.name]
    assert loaded.notes == (f"translated from Keras {version}, read by Keras {keras.__version__}",)


def test_a_translated_model_is_a_classifier_like_any_other(tmp_path: Path) -> None:
    """Its layers are seen, its input has a gradient, and Keras 3 can save it and read it back."""
    import keras

    from fruitaudit.models.keras.classifier import open_classifier

    model = open_classifier(FILES / "tf2.15/transfer_tf.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 20, 20, 3)).astype(np.float32)
    assert np.abs(model.gradient(images, np.array([0, 1]))).max() > 0
    operations = [row for row in model.summary(tuple("abcde"), "").layers if row.kind == "TensorFlowOperation"]
    assert [row.name.split("/")[-1] for row in operations] == ["tf.math.truediv", "tf.math.subtract"]
    model.network.save(tmp_path / "new.keras")
    again = keras.models.load_model(tmp_path / "new.keras")
    np.testing.assert_allclose(again(images, training=False), model.network(images, training=False), atol=1e-6)


def test_constants_at_the_head_stay_visible() -> None:
    from fruitaudit.models.keras.load import load_network

    def constants(name: str) -> list[tuple[str, dict[str, Any]]]:
        network = load_network(FILES / "tf2.15" / name, allow_code=False).network
        found = [layer for layer in network.layers if type(layer).__name__ == "TensorFlowOperation"]
        return [(layer.operation, layer.constants) for layer in found]

    assert constants("transfer_tf.h5") == [("math.truediv", {"y": 127.5}), ("math.subtract", {"y": 1.0})]
    blue_first, centred = constants("transfer_caffe.h5")
    assert blue_first == (
        "__operators__.getitem",
        {"slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]},
    )
    assert centred[0] == "nn.bias_add"
    np.testing.assert_allclose(centred[1]["bias"], [-103.939, -116.779, -123.68], rtol=1e-6)


def test_what_they_do_to_pixels_is_measured() -> None:
    """`x / 127.5 - 1`; and blue first, less the mean colour of ImageNet."""
    from fruitaudit.models.keras.classifier import open_classifier
    from fruitaudit.models.keras.entrance import entrance_of

    tutorial, caffe = (entrance_of(open_classifier(FILES / "tf2.15" / f"transfer_{n}.h5")) for n in ("tf", "caffe"))
    assert tutorial is not None
    assert caffe is not None
    np.testing.assert_allclose(tutorial.matrix, np.eye(3) / 127.5, atol=1e-6)
    np.testing.assert_allclose(tutorial.offset, [-1, -1, -1], atol=1e-6)
    np.testing.assert_allclose(caffe.matrix, np.eye(3)[::-1], atol=1e-4)
    np.testing.assert_allclose(caffe.offset, [-103.939, -116.779, -123.68], atol=1e-4)


def changed(name: str, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a file whose description was changed."""
    source = FILES / "tf2.15" / name
    if source.suffix == ".h5":
        shutil.copy(source, target)
        with h5py.File(target, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return target
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.namelist():
            data = old.read(item)
            if item == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(item, data)
    return target


def layer(config: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(item for item in config["config"]["layers"] if item["class_name"] == kind)


def refusal(path: Path, *, load: bool = False) -> str:
    from fruitaudit.models.keras.load import load_network

    with pytest.raises(ModelError) as caught:
        load_network(path, allow_code=False) if load else inspect(path, allow_code=False)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    assert len(sentence.removeprefix(str(path))) < 500
    return sentence


def set_in(kind: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda config: layer(config, kind)["config"].update({key: value})


UNTRANSLATABLE = {
    "'tf.py_function', which is not translated": set_in("TFOpLambda", "function", "py_function"),
    "'tf.io.read_file', which is not translated": set_in("TFOpLambda", "function", "io.read_file"),
    "the activation 'my_own'": set_in("Dense", "activation", "my_own"),
    "the number type 'x3'": set_in("Dense", "dtype", "x3"),
    "of the class 'LocallyConnected2D', which is not translated": lambda config: layer(config, "Dense").update(
        class_name="LocallyConnected2D"
    ),
    "the argument 'output'": lambda config: layer(config, "TFOpLambda")["inbound_nodes"][0][3].update(output="/tmp/x"),
    "is called with 'initial_state'": lambda config: layer(config, "Dropout")["inbound_nodes"][0][0][3].update(
        initial_state=3
    ),
    "which is no layer of the model": lambda config: layer(config, "Dropout")["inbound_nodes"][0][0].__setitem__(
        0, "x"
    ),
}


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("what", UNTRANSLATABLE)
def test_what_is_not_translated_is_named_with_what_to_do(what: str, suffix: str, tmp_path: Path) -> None:
    sentence = refusal(changed(f"transfer_tf.{suffix}", tmp_path / f"m.{suffix}", UNTRANSLATABLE[what]))
    assert "it was saved by Keras 2.15.0, and " in sentence
    assert what in sentence
    assert "export it as a SavedModel with the TensorFlow that made it" in sentence


def test_code_and_foreign_classes_stay_code(tmp_path: Path) -> None:
    path = changed("transfer_tf.h5", tmp_path / "m.h5", lambda config: layer(config, "Dropout").update(
        class_name="Lambda", config={"name": "own", "function": ["x", None, None], "function_type": "lambda"}
    ))  # fmt: skip
    assert "layer 'own' (Lambda) is a Python function stored in the file" in refusal(path)
    path = changed("transfer_tf.keras", tmp_path / "m.keras", lambda config: layer(config, "Dense").update(
        module="my.layers", registered_name="My>Dense"
    ))  # fmt: skip
    assert "'dense' is of the class 'Dense', which is not translated" in refusal(path)
    function = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "relu"}
    path = changed("transfer_tf.keras", tmp_path / "f.keras", set_in("Dense", "activation", function))
    assert "the function 'relu' is code of the model's maker" in refusal(path)


def test_no_file_can_name_the_layers_of_a_translation(tmp_path: Path, saved: Path) -> None:
    """Neither one of Keras 3, where they are foreign, nor one of Keras 2, whose classes they are not."""
    from fruitaudit.models.keras.keras2.objects import own

    planted = own("TensorFlowOperation", {"name": "planted", "operation": "math.exp", "arguments": {"x": {"input": 0}}})
    path = changed("transfer_tf.keras", tmp_path / "2.keras", lambda config: layer(config, "Dense").update(planted))
    assert "of the class 'TensorFlowOperation', which is not translated" in refusal(path)
    with zipfile.ZipFile(saved / "model.keras") as old, zipfile.ZipFile(tmp_path / "3.keras", "w") as new:
        for item in old.namelist():
            data = old.read(item)
            if item == "config.json":
                config = json.loads(data)
                config["config"]["layers"][2].update(planted)
                data = json.dumps(config).encode()
            new.writestr(item, data)
    assert "'planted' is of the class TensorFlowOperation" in refusal(tmp_path / "3.keras")


def test_operations_are_sized_before_they_run(tmp_path: Path) -> None:
    def enlarge(config: dict[str, Any]) -> None:
        operation = layer(config, "TFOpLambda")
        operation["config"]["function"] = "image.resize"
        operation["inbound_nodes"][0][3] = {"size": [10**6, 10**6]}

    path = changed("transfer_tf.keras", tmp_path / "m.keras", enlarge)
    with pytest.raises(AuditError, match=r"'tf.math.truediv' \(TensorFlowOperation\) makes 1,000,000 x 1,000,000 x"):
        inspect(path, allow_code=False)


def weights_changed(name: str, target: Path, change: Callable[[Any], None]) -> Path:
    with zipfile.ZipFile(FILES / "tf2.15" / name) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.namelist():
            data = old.read(item)
            if item == "model.weights.h5":
                stream = io.BytesIO(data)
                with h5py.File(stream, "r+") as file:
                    change(file)
                data = stream.getvalue()
            new.writestr(item, data)
    return target


def replaced(file: Any, name: str, value: Any) -> None:
    del file[name]
    if value is not None:
        file[name] = value


@pytest.mark.parametrize(("change", "what"), [
    (lambda f: replaced(f, "layers/dense/vars/0", np.zeros((6, 4), "f4")),
     r"the kernel of 'dense' should have the shape \(6, 5\) and has \(6, 4\) in the file"),
    (lambda f: replaced(f, "layers/dense/vars/1", None), "'dense' has 2 weights, of which the file holds 1"),
    (lambda f: replaced(f, "layers", None), "its weights do not lie where Keras 2 puts them"),
    (lambda f: f.create_dataset("layers/dense_1/vars/0", data=[1.0]),
     "'layers/dense_1/vars/0' belong to no layer"),
    (lambda f: replaced(f, "layers/dense/vars/1", np.array([b"x"] * 5)), "the bias of 'dense' should have the shape"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_refused_whole(change: Callable[[Any], None], what: str, tmp_path: Path) -> None:
    sentence = refusal(weights_changed("transfer_tf.keras", tmp_path / "m.keras", change), load=True)
    assert "it was saved by Keras 2.15.0, and " in sentence
    assert re.search(what, sentence)


def test_weights_in_another_order_are_refused(tmp_path: Path) -> None:
    """Two kernels of one shape, exchanged in the list of names: no shape tells."""
    path = tmp_path / "m.h5"
    shutil.copy(FILES / "tf2.15/nested_three_deep.h5", path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/b"]
        names = [str(name) for name in group.attrs["weight_names"]]
        i, j = (names.index(name) for name in ("base_bn/gamma:0", "base_bn_2/gamma:0"))
        names[i], names[j] = names[j], names[i]
        group.attrs["weight_names"] = names
    assert "another order than its layers: 'base_bn_2/gamma:0' stands for the gamma of 'base_bn'" in refusal(
        path, load=True
    )


def test_a_header_of_keras_2_on_a_file_of_keras_3_changes_no_answer(saved: Path, tmp_path: Path) -> None:
    from fruitaudit.models.keras.load import load_network

    path = tmp_path / "m.keras"
    with zipfile.ZipFile(saved / "model.keras") as old, zipfile.ZipFile(path, "w") as new:
        for item in old.namelist():
            data = old.read(item)
            new.writestr(item, json.dumps({"keras_version": "2.15.0"}) if item == "metadata.json" else data)
    right, got = (load_network(p, allow_code=False).network for p in (saved / "model.keras", path))
    images = np.random.default_rng(0).random((2, *right.input_shape[1:]), dtype=np.float32)
    np.testing.assert_allclose(got(images), right(images), atol=1e-6)


@pytest.mark.parametrize(("operation", "arguments", "inputs", "output"), [
    ("math.truediv", {"x": {"input": 0}, "y": [1.0, 2.0, 3.0]}, [(None, 8, 9, 3)], (None, 8, 9, 3)),
    ("math.multiply", {"x": {"input": 0}, "y": {"input": 1}}, [(None, 8, 1, 3), (None, 1, 9, 3)], (None, 8, 9, 3)),
    ("concat", {"values": [{"input": 0}, {"input": 1}], "axis": -1}, [(None, 8, 2), (None, 8, 5)], (None, 8, 7)),
    ("stack", {"values": [{"input": 0}, {"input": 1}], "axis": 1}, [(None, 8), (None, 8)], (None, 2, 8)),
    ("split", {"value": {"input": 0}, "num_or_size_splits": 2, "axis": -1}, [(None, 8, 6)], (None, 8, 3)),
    ("math.reduce_mean", {"input_tensor": {"input": 0}, "axis": [1, 2]}, [(None, 8, 9, 3)], (None, 3)),
    ("reshape", {"tensor": {"input": 0}, "shape": [-1, 72, 3]}, [(None, 8, 9, 3)], (None, 72, 3)),
    ("transpose", {"a": {"input": 0}, "perm": [0, 2, 1]}, [(None, 8, 9)], (None, 9, 8)),
    ("pad", {"tensor": {"input": 0}, "paddings": [[0, 0], [1, 2]]}, [(None, 8)], (None, 11)),
    ("tile", {"input": {"input": 0}, "multiples": [1, 4]}, [(None, 8)], (None, 32)),
    ("image.resize", {"images": {"input": 0}, "size": [4, 5]}, [(None, 8, 9, 3)], (None, 4, 5, 3)),
    ("nn.max_pool2d", {"input": {"input": 0}, "ksize": 2, "strides": 2, "padding": "SAME"}, [(None, 9, 8, 3)],
     (None, 5, 4, 3)),
    ("linalg.matmul", {"a": {"input": 0}, "b": {"input": 0}, "transpose_b": True}, [(None, 8, 3)], (None, 8, 8)),
    ("expand_dims", {"input": {"input": 0}, "axis": -1}, [(None, 8)], (None, 8, 1)),
    ("image.grayscale_to_rgb", {"images": {"input": 0}}, [(None, 8, 8, 1)], (None, 8, 8, 3)),
])  # fmt: skip
def test_sizes_of_operations(operation: str, arguments: dict[str, Any], inputs: list[Any], output: Any) -> None:
    """By the rule, and by the layer that computes it."""
    import keras

    from fruitaudit.models.keras.declared import Options
    from fruitaudit.models.keras.keras2.operation_layers import TensorFlowOperation

    size = operation_size(Options({"operation": operation, "arguments": arguments}), inputs)
    assert size.output == output
    tensors = [keras.Input(shape[1:]) for shape in inputs]
    result = TensorFlowOperation(operation, arguments)(tensors)
    assert (result[0] if isinstance(result, list) else result).shape == output


def test_every_operation_is_a_function_of_tensorflow() -> None:
    from fruitaudit.models.keras.keras2.operation_layers import _function

    assert all(callable(_function(name)) for name in OPERATIONS if name != "__operators__.getitem")
