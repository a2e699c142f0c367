"""What a model file unfolds to is known before Keras builds anything: bombs are refused, real models are not."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import h5py
import pytest
import zoo

from fruitaudit.errors import ConfigError, ModelError
from fruitaudit.models import memory
from fruitaudit.models.keras.declared import Options
from fruitaudit.models.keras.layer_sizes import rule_of
from fruitaudit.models.keras.safety import inspect
from fruitaudit.models.keras.unfolding import _Walk, check_unfolding

GB = 10**9
NAN, INFINITY = float("nan"), float("inf")


def layer(kind: str, *, build: list[Any] | None = None, **config: Any) -> dict[str, Any]:
    found = {"module": "keras.layers", "class_name": kind, "config": {"name": "it", **config}, "registered_name": None}
    return found if build is None else found | {"build_config": {"input_shape": build}}


def images(*shape: Any) -> dict[str, Any]:
    return layer("InputLayer", batch_shape=[None, *shape], name="images")


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def written(path: Path, config: object) -> Path:
    """A .keras file with this description (or this text) and no weights."""
    weights = io.BytesIO()
    h5py.File(weights, "w").close()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("metadata.json", "[]")
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def refusal(path: Path, config: object, limit: int | None = None) -> str:
    file = written(path / "bomb.keras", config)
    with pytest.raises((ModelError, ConfigError)) as caught:
        inspect(file, allow_code=False, memory=limit)
    sentence = str(caught.value)
    assert sentence.startswith(f"{file}: ")
    assert "\n" not in sentence
    assert len(sentence.removeprefix(str(file))) < 400
    return sentence


PHOTO, FLAT = images(32, 32, 3), layer("Flatten")
BOMBS = {
    "padding": ([PHOTO, layer("ZeroPadding2D", padding=50_000)], "100,032 x 100,032 x 3"),
    "padding by pairs": ([PHOTO, layer("ZeroPadding2D", padding=[[50_000, 0], [9, 90_000]])], "50,032 x 90,041 x 3"),
    "padding of channels first": (
        [images(3, 32, 32), layer("ZeroPadding2D", padding=50_000, data_format="channels_first")],
        "3 x 100,032 x 100,032",
    ),
    "padding in 3D": ([images(3, 3, 3, 1), layer("ZeroPadding3D", padding=[[1000, 1000]] * 3)], "2,003 x 2,003"),
    "dense": ([PHOTO, FLAT, layer("Dense", units=GB)], "3,073,000,000,000 weights"),
    "upsampling": ([PHOTO, layer("UpSampling2D", size=[10**5, 10**5])], "3,200,000 x 3,200,000 x 3"),
    "upsampling again and again": ([PHOTO, *[layer("UpSampling2D", size=2) for _ in range(40)]], "32,768 x 32,768"),
    "filters": ([PHOTO, layer("Conv2D", filters=10**8, kernel_size=[3, 3])], "30 x 30 x 100,000,000"),
    "kernel": ([PHOTO, layer("Conv2D", filters=3, kernel_size=10**6, padding="same")], "9,000,000,000,003 weights"),
    "transposed": (
        [PHOTO, layer("Conv2DTranspose", filters=3, kernel_size=3, strides=10**4, padding="same")],
        "320,000 x 320,000 x 3",
    ),
    "separable": ([PHOTO, layer("SeparableConv2D", filters=10**8, kernel_size=3)], "30 x 30 x 100,000,000"),
    "depthwise": ([PHOTO, layer("DepthwiseConv2D", depth_multiplier=GB, kernel_size=3)], "30 x 30 x 3,000,000,000"),
    "resizing": ([PHOTO, layer("Resizing", height=10**6, width=10**6)], "1,000,000 x 1,000,000 x 3"),
    "crop": ([PHOTO, layer("CenterCrop", height=10**6, width=10**6)], "1,000,000 x 1,000,000 x 3"),
    "repeat": ([PHOTO, FLAT, layer("RepeatVector", n=GB)], "1,000,000,000 x 3,072"),
    "embedding": ([images(9), layer("Embedding", input_dim=GB, output_dim=10**3)], "1,000,000,000,000 weights"),
    "embedding of what is unknown": ([layer("Embedding", input_dim=GB, output_dim=10**3)], "1,000,000,000,000 weights"),
    "reshape": ([PHOTO, layer("Reshape", target_shape=[GB, GB])], "1,000,000,000 x 1,000,000,000"),
    "input": ([images(10**6, 10**6, 3), FLAT], "1,000,000 x 1,000,000 x 3"),
    "what it is built for": ([PHOTO, FLAT, layer("Dense", units=10**5, build=[None, GB])], "weights"),
    "normalization built for more": ([PHOTO, layer("BatchNormalization", build=[None, 10**11])], "weights"),
    "parametric": ([PHOTO, layer("PReLU", build=[None, 4000, 4000, 1000])], "16,000,000,000 weights"),
    "attention": (
        [images(10**6, 8), layer("MultiHeadAttention", num_heads=8, key_dim=4)],
        "'it' (MultiHeadAttention)",
    ),
    "recurrent": ([images(5, 32), layer("LSTM", units=10**6)], "4,000,128,000,000 weights"),
    "in both directions": ([images(5, 32), layer("Bidirectional", layer=layer("GRU", units=10**6))], "(GRU)"),
    "cell": ([images(5, 32), layer("RNN", cell=layer("LSTMCell", units=10**6))], "(LSTMCell)"),
    "at every step": (
        [images(5, 32, 32, 3), layer("TimeDistributed", layer=layer("ZeroPadding2D", padding=50_000))],
        "(ZeroPadding2D)",
    ),
    "in a model in a model": ([PHOTO, sequential(sequential(layer("UpSampling2D", size=10**5)))], "(UpSampling2D)"),
    "a number of 4,000 digits": ([PHOTO, layer("Dense", units=10**4000)], "'it' (Dense)"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_with_its_layer_and_size(name: str, tmp_path: Path) -> None:
    layers, size = BOMBS[name]
    sentence = refusal(tmp_path, sequential(*layers))
    assert size in sentence
    assert "the layer 'i" in sentence
    assert " GB)" in sentence


@pytest.mark.parametrize("size", [-3, 3.5, NAN, INFINITY, "10", True, [1], {"a": 1}], ids=str)
def test_what_is_no_size_is_said(size: object, tmp_path: Path) -> None:
    for config in (layer("Dense", units=size), layer("Conv2D", filters=4, kernel_size=[3, size])):
        sentence = refusal(tmp_path, sequential(PHOTO, config))
        assert "the layer 'it' (" in sentence
        assert "where a whole number from 0 belongs" in sentence
    assert "not made of whole numbers" in refusal(tmp_path, sequential(images(size, 8, 3)))


def test_no_stride_is_said_and_two_sizes_for_three_axes(tmp_path: Path) -> None:
    convolution = layer("Conv2D", filters=4, kernel_size=3, strides=[0, 1])
    assert "has the strides 0" in refusal(tmp_path, sequential(PHOTO, convolution))
    convolution = layer("Conv2D", filters=4, kernel_size=[3, 3, 3])
    assert "should be 2 numbers" in refusal(tmp_path, sequential(PHOTO, convolution))


def test_depth_and_calls_are_bounded(tmp_path: Path) -> None:
    start = '{"class_name": "Sequential", "module": "keras", "config": {"layers": ['
    for depth in (100, 10_000):
        assert "nested more deeply" in refusal(tmp_path, start * depth + "]}}" * depth)
    twice = layer("ReLU")
    for _ in range(40):
        twice = sequential(twice, twice)
        if len(json.dumps(twice)) > 10**6:
            break
    assert "20,000 calls of layers" in refusal(tmp_path, sequential(PHOTO, twice, twice, twice, twice, twice))


def test_a_model_that_is_called_twice_at_every_level_is_refused(tmp_path: Path) -> None:
    """2^30 calls in a file of 20 kB."""
    model: dict[str, Any] = layer("ReLU", name="inner") | {"name": "inner"}
    for level in range(30):
        name = model["config"]["name"]
        first = {"class_name": "__keras_tensor__", "config": {"shape": [None, 8], "keras_history": ["images", 0, 0]}}
        second = {"class_name": "__keras_tensor__", "config": {"shape": [None, 8], "keras_history": [name, 0, 0]}}
        nodes = [{"args": [first], "kwargs": {}}, {"args": [second], "kwargs": {}}]
        layers = [images(8) | {"name": "images", "inbound_nodes": []}, model | {"name": name, "inbound_nodes": nodes}]
        config = {"name": f"level{level}", "layers": layers, "input_layers": ["images", 0, 0]}
        config["output_layers"] = [[name, 1, 0]]
        model = {"module": "keras", "class_name": "Functional", "config": config}
    assert "20,000 calls of layers" in refusal(tmp_path, model)


def test_what_does_not_fit_the_limit_is_said_with_what_is_enough(tmp_path: Path) -> None:
    config = sequential(images(1000, 1000, 3), layer("Conv2D", filters=100, kernel_size=3))
    sentence = refusal(tmp_path, config, 1 * GB)
    assert "'it' (Conv2D) makes 998 x 998 x 100 numbers of an image (398 MB); memory: 1,000 MB is too" in sentence
    assert sentence.endswith("set at least 1.6GB")
    assert inspect(written(tmp_path / "fits.keras", config), allow_code=False, memory=2 * GB).code == ()


def test_what_does_not_fit_the_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = sequential(PHOTO, FLAT, layer("Dense", units=10**5))
    inspect(written(tmp_path / "fits.keras", config), allow_code=False)
    monkeypatch.setattr(memory, "machine_memory", lambda: 2 * GB)
    sentence = refusal(tmp_path, config)
    assert (
        "307,300,000 weights (1.2 GB); the model takes 3.7 GB with one image, and this machine has 2.0 GB" in sentence
    )


def test_an_unknown_layer_makes_the_rest_unknown_and_refuses_nothing(tmp_path: Path) -> None:
    path = Path("model.keras")
    check_unfolding(path, sequential(PHOTO, layer("Unheard"), layer("Flatten"), layer("Dense", units=10**6)), None)
    with pytest.raises(ModelError, match=r"'it' \(Dense\)"):
        check_unfolding(
            path, sequential(PHOTO, layer("Unheard"), layer("Dense", units=10**6, build=[None, 10**6])), None
        )


def test_nonsense_is_left_to_keras() -> None:
    """A description that no rule understands is refused by Keras, not by a fault of ours."""
    for config in (
        {"class_name": "Sequential"},
        {"class_name": "Functional", "config": {"layers": [{}, 3, {"inbound_nodes": 5}], "output_layers": "x"}},
        {"class_name": ["Model"], "config": {"layers": {}}},
        sequential(PHOTO, layer("Dense"), layer("Concatenate", axis=9), layer("Permute", dims=[5, 6, 7])),
        sequential(layer("TimeDistributed"), layer("Bidirectional", layer=3), layer("RNN", cell=[1])),
    ):
        check_unfolding(Path("model.keras"), config, None)


def derived(network: Any) -> _Walk:
    walk = _Walk(Path("model.keras"))
    walk.call(json.loads(network.to_json()), [])
    return walk


def bytes_of_weights(network: Any) -> int:
    return sum(prod(weight.shape) * 4 for weight in network.weights)


@pytest.mark.parametrize("kind", [kind for kind in zoo.KINDS if kind != "subclassed"])
def test_every_kind_passes_and_is_hardly_underestimated(kind: str) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    model = Classifier.from_network(zoo.KINDS[kind]())
    walk = derived(model.network)
    assert 0.8 * model.memory_needs.weights < walk.all_weights <= model.memory_needs.weights
    assert 0 < walk.image <= model.memory_needs.image


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["MobileNetV2", "ResNet50", "EfficientNetB0", "VGG16", "DenseNet121", "NASNetMobile", "ConvNeXtTiny"]
)
def test_networks_of_keras_pass(name: str) -> None:
    import keras

    network = getattr(keras.applications, name)(weights=None)
    walk = derived(network)
    assert 0.95 * bytes_of_weights(network) < walk.all_weights <= bytes_of_weights(network)
    check_unfolding(Path("model.keras"), json.loads(network.to_json()), None)


def built(make: Callable[[Any], Any]) -> Any:
    import keras

    return make(keras.layers)


RULES: dict[str, tuple[Callable[[Any], Any], list[tuple[int, ...]]]] = {
    "same": (lambda k: k.Conv2D(5, 3, strides=2, padding="same", use_bias=False), [(11, 14, 3)]),
    "valid": (lambda k: k.Conv2D(6, (3, 4), strides=(2, 1), groups=3), [(11, 14, 3)]),
    "dilated": (lambda k: k.Conv2D(5, 3, dilation_rate=2), [(11, 14, 3)]),
    "1D": (lambda k: k.Conv1D(5, 3, padding="causal"), [(11, 3)]),
    "3D": (lambda k: k.Conv3D(5, 2), [(4, 5, 6, 3)]),
    "transposed": (lambda k: k.Conv2DTranspose(5, 3, strides=2), [(4, 5, 3)]),
    "transposed same": (lambda k: k.Conv2DTranspose(5, 3, strides=3, padding="same"), [(4, 5, 3)]),
    "depthwise": (lambda k: k.DepthwiseConv2D(3, depth_multiplier=2), [(7, 8, 3)]),
    "separable": (lambda k: k.SeparableConv2D(5, 3, depth_multiplier=2), [(7, 8, 3)]),
    "pool": (lambda k: k.MaxPooling2D(3), [(11, 14, 3)]),
    "pool in steps": (lambda k: k.AveragePooling2D(3, strides=1, padding="same"), [(11, 14, 3)]),
    "global pool": (lambda k: k.GlobalAveragePooling2D(keepdims=True), [(7, 8, 3)]),
    "padding": (lambda k: k.ZeroPadding2D(((1, 2), (3, 4))), [(7, 8, 3)]),
    "padding in 1D": (lambda k: k.ZeroPadding1D((1, 2)), [(7, 3)]),
    "cropping": (lambda k: k.Cropping2D((1, 2)), [(7, 8, 3)]),
    "upsampling": (lambda k: k.UpSampling2D((2, 3)), [(7, 8, 3)]),
    "resizing": (lambda k: k.Resizing(5, 6), [(7, 8, 3)]),
    "crop": (lambda k: k.CenterCrop(5, 6), [(7, 8, 3)]),
    "flatten": (lambda k: k.Flatten(), [(7, 8, 3)]),
    "reshape": (lambda k: k.Reshape((-1, 6)), [(7, 8, 3)]),
    "permute": (lambda k: k.Permute((3, 1, 2)), [(7, 8, 3)]),
    "repeat": (lambda k: k.RepeatVector(4), [(7,)]),
    "dense": (lambda k: k.Dense(4), [(7, 8)]),
    "einsum": (lambda k: k.EinsumDense("abc,cd->abd", output_shape=(None, 9)), [(7, 8)]),
    "add": (lambda k: k.Add(), [(7, 8, 1), (7, 1, 3)]),
    "concatenate": (lambda k: k.Concatenate(axis=1), [(7, 8), (3, 8)]),
    "normalization": (lambda k: k.LayerNormalization(), [(7, 8)]),
    "parametric": (lambda k: k.PReLU(shared_axes=[1, 2]), [(7, 8, 3)]),
    "lstm": (lambda k: k.LSTM(4, return_sequences=True), [(7, 8)]),
    "gru": (lambda k: k.GRU(4), [(7, 8)]),
    "attention": (lambda k: k.Attention(), [(7, 8), (9, 8)]),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_knows_what_keras_computes(name: str) -> None:
    make, shapes = RULES[name]
    made = built(make)
    inputs = [(None, *shape) for shape in shapes]
    rule = rule_of(type(made).__name__)
    assert rule is not None
    size = rule(Options(json.loads(json.dumps(made.get_config()))), inputs)
    made.build(inputs if len(inputs) > 1 else inputs[0])
    expected = made.compute_output_shape(inputs if len(inputs) > 1 else inputs[0])
    if name != "einsum":
        assert size.output == tuple(expected)
    assert 0.5 * made.count_params() <= size.weights <= made.count_params()


def test_an_image_that_is_too_large_for_the_machine_is_refused_before_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its layers are called: here by what TensorFlow traced."""
    import keras

    from fruitaudit.models.keras.classifier import Classifier

    inputs = keras.Input((32, 32, 3))
    large = keras.ops.tile(inputs, (1, 100, 100, 1))
    network = keras.Model(inputs, keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(large)))
    assert Classifier.from_network(network).n_classes == 3
    monkeypatch.setattr(memory, "machine_memory", lambda: GB // 10)
    with pytest.raises(ModelError, match=r"the model takes 123 MB with one image, and this machine has 100 MB"):
        Classifier.from_network(network)


def test_members_of_a_zip_are_held_against_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(written(path, sequential(PHOTO, FLAT)), "a") as archive:
        archive.writestr("assets/words", os.urandom(3_000_000))
    with pytest.raises(ModelError, match=r"its content takes 3 MB, and memory allows 2 MB"):
        inspect(path, allow_code=False, memory=2_000_000)


def test_a_tensor_that_tensorflow_cannot_count_is_refused_before_a_pass() -> None:
    import keras

    from fruitaudit.models.keras.classifier import Classifier

    inputs = keras.Input((32, 32, 3))
    large = keras.ops.tile(inputs, (1, 10**6, 1, 1))
    network = keras.Model(inputs, keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(large)))
    with pytest.raises(ModelError, match=r"the operation '.*Tile.*' makes 3,072,000,000 numbers of an image"):
        Classifier.from_network(network)
