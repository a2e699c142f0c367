"""The kinds of model that every method must meet: small, random, seeded. Keras is imported when one is built.

`KINDS[name]()` builds it. Most take 32 x 32 x 3 images in 0..1 and tell 5 classes apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

CLASSES = 5
TOP = {"nested_functional": 255.0, "nested_sequential": 255.0, "preparing": 255.0}
"""What white is to a kind (which is also its name), where it is not 1."""
SLOW = {"nested_functional", "nested_sequential", "resnet", "vit", "grouped"}
"""Kinds of many layers, or many graphs: a test with one of them as a parameter is marked slow (`conftest`)."""
SORTS = {
    "sequential": "one output per class",
    "sigmoid": "one output",
    "grey28": "one channel",
    "non_square": "not as high as wide",
}
"""A kind of each sort of input and output, and what it is the one of."""


def _sequential(*, activation: str | None = "softmax", units: int = CLASSES, shape=(32, 32, 3), hidden="relu", **kw):
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(8, 3, activation=hidden, name="conv_1", **kw),
            layers.MaxPooling2D(name="pool_1", **kw),
            layers.Conv2D(12, 3, activation=hidden, name="conv_2", **kw),
            layers.MaxPooling2D(name="pool_2", **kw),
            layers.Dropout(0.5, name="dropout", **kw),
            layers.Flatten(name="flatten", **kw),
            layers.Dense(16, activation=hidden, name="hidden", **kw),
            layers.Dense(units, activation=activation, name="scores", **kw),
        ],
        name="small_cnn",
    )


def _added() -> Any:
    """A Sequential that grew by `.add()` after it was built, so that it was rebuilt several times."""
    import keras
    from keras import layers

    model = keras.Sequential(name="added")
    model.add(keras.Input((32, 32, 3)))
    model.add(layers.Conv2D(8, 3, activation="relu", name="conv_1"))
    model.add(layers.MaxPooling2D(name="pool"))
    model(keras.ops.zeros((1, 32, 32, 3)))
    model.add(layers.Conv2D(8, 3, activation="relu", name="conv_2"))
    model.add(layers.GlobalAveragePooling2D(name="gap"))
    model.add(layers.Dense(CLASSES, activation="softmax", name="scores"))
    return model


def _with_head(*head: Any) -> Any:
    """The small CNN up to its scores, and these layers after them."""
    import keras

    body = _sequential(activation=None)
    return keras.Sequential([keras.Input((32, 32, 3)), *body.layers, *head], name="small_cnn_with_head")


def _dense_softmax() -> Any:
    from keras import layers

    return _with_head(layers.Softmax(name="softmax"))


def _dense_activation() -> Any:
    from keras import layers

    return _with_head(layers.Activation("softmax", name="softmax"))


def _log_softmax() -> Any:
    return _sequential(activation="log_softmax")


def _mobilenet(sequential: bool) -> Any:
    """MobileNetV2 inside a model, with 0..255 rescaled inside."""
    import keras
    from keras import layers

    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35, name="mobilenet"
    )
    _settle(base, -1, 1)
    rescale, pool = layers.Rescaling(1 / 127.5, offset=-1, name="rescale"), layers.GlobalAveragePooling2D(name="gap")
    scores = layers.Dense(CLASSES, activation="softmax", name="scores")
    if sequential:
        return keras.Sequential([keras.Input((32, 32, 3)), rescale, base, pool, scores], name="nested_sequential")
    images = keras.Input((32, 32, 3))
    return keras.Model(images, scores(pool(base(rescale(images)))), name="nested_functional")


def _resnet() -> Any:
    import keras
    from keras import layers

    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(images)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    for i, filters in enumerate((8, 16), start=1):
        y = layers.Conv2D(filters, 3, strides=i, padding="same", use_bias=False, name=f"block{i}_conv1")(x)
        y = layers.ReLU(name=f"block{i}_relu1")(layers.BatchNormalization(name=f"block{i}_bn1")(y))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{i}_conv2")(y)
        y = layers.BatchNormalization(name=f"block{i}_bn2")(y)
        shortcut = layers.Conv2D(filters, 1, strides=i, name=f"block{i}_shortcut")(x)
        x = layers.ReLU(name=f"block{i}_out")(layers.Add(name=f"block{i}_add")([y, shortcut]))
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(images, layers.Dense(CLASSES, activation="softmax", name="scores")(x), name="resnet")
    _settle(model, 0, 1)
    return model


def _settle(model: Any, low: float, high: float) -> None:
    """Give normalization layers the statistics of random images in low..high, as training would."""
    import keras
    import numpy as np

    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    model(np.random.default_rng(3).uniform(low, high, (16, *model.input_shape[1:])).astype("f4"), training=True)
    for layer, momentum in zip(normalizations, momenta, strict=True):
        layer.momentum = momentum


def _subclassed() -> Any:
    import keras
    from keras import layers

    class Block(layers.Layer):
        def __init__(self, filters: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.conv = layers.Conv2D(filters, 3, padding="same", name="conv")
            self.shortcut = layers.Conv2D(filters, 1, name="shortcut")

        def call(self, x: Any) -> Any:
            return keras.ops.relu(self.conv(x) + self.shortcut(x))

    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="subclassed")
            self.block = Block(8, name="block")
            self.pool = layers.GlobalAveragePooling2D(name="gap")
            self.scores = layers.Dense(CLASSES, activation="softmax", name="scores")
            self.gain = self.add_weight(shape=(), initializer="ones", name="gain")

        def call(self, x: Any) -> Any:
            return self.scores(self.pool(self.block(x)) * self.gain)

    model = Subclassed()
    model(keras.ops.zeros((1, 32, 32, 3)))
    return model


def _vit() -> Any:
    """Patches of 8 x 8, two blocks of attention."""
    import keras
    from keras import layers

    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 8, strides=8, name="patches")(images)
    x = layers.Reshape((16, 16), name="tokens")(x)
    x = x + layers.Embedding(16, 16, name="places")(keras.ops.arange(16))
    for i in (1, 2):
        y = layers.LayerNormalization(name=f"norm{i}a")(x)
        x = layers.Add(name=f"add{i}a")([x, layers.MultiHeadAttention(2, 8, name=f"attention{i}")(y, y)])
        y = layers.LayerNormalization(name=f"norm{i}b")(x)
        y = layers.Dense(16, name=f"mlp{i}b")(layers.Dense(32, activation="gelu", name=f"mlp{i}a")(y))
        x = layers.Add(name=f"add{i}b")([x, y])
    x = layers.GlobalAveragePooling1D(name="mean_token")(layers.LayerNormalization(name="norm")(x))
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax", name="scores")(x), name="vit")


def _mlp() -> Any:
    import keras
    from keras import layers

    parts = [keras.Input((32, 32, 3)), layers.Rescaling(2.0, offset=-1, name="rescale"), layers.Flatten(name="flatten")]
    parts += [layers.Dense(16, activation="relu", name="hidden"), layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential(parts, name="mlp")


def _grouped() -> Any:
    """Convolutions in groups, dilated, depthwise and separable."""
    import keras
    from keras import layers

    parts = [
        keras.Input((32, 32, 3)),
        layers.Conv2D(8, 3, dilation_rate=2, activation="relu", name="dilated"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise"),
        layers.SeparableConv2D(8, 3, strides=2, activation="relu", name="separable"),
        layers.Conv2D(8, 3, groups=4, activation="relu", name="conv_2"),
        layers.Flatten(name="flatten"),
        layers.Dense(12, activation="relu", name="hidden"),
        layers.Dense(CLASSES, activation="softmax", name="scores"),
    ]
    return keras.Sequential(parts, name="grouped")


def _preparing() -> Any:
    """All preparation inside: 0..255, resized, turned and flipped in training only, normalized a channel."""
    import keras
    from keras import layers

    parts = [
        keras.Input((32, 32, 3)),
        layers.Resizing(24, 28, name="resize"),
        layers.Rescaling(1 / 255, name="rescale"),
        layers.RandomFlip(name="flip"),
        layers.RandomRotation(0.1, name="turn"),
        layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.05, 0.06], name="normalize"),
        layers.Conv2D(8, 3, activation="relu", name="conv_1"),
        layers.MaxPooling2D(name="pool_1"),
        layers.Conv2D(12, 3, activation="relu", name="conv_2"),
        layers.Flatten(name="flatten"),
        layers.Dense(CLASSES, activation="softmax", name="scores"),
    ]
    return keras.Sequential(parts, name="preparing")


def _seeded(build: Callable[..., Any], **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        import keras

        keras.utils.set_random_seed(9)
        return build(**options)

    return make


KINDS: dict[str, Callable[[], Any]] = {
    "sequential": _seeded(_sequential),
    "added": _seeded(_added),
    "logits": _seeded(_sequential, activation=None),
    "log_softmax": _seeded(_log_softmax),
    "dense_softmax_layer": _seeded(_dense_softmax),
    "dense_activation_layer": _seeded(_dense_activation),
    "nested_functional": _seeded(_mobilenet, sequential=False),
    "nested_sequential": _seeded(_mobilenet, sequential=True),
    "resnet": _seeded(_resnet),
    "sigmoid": _seeded(_sequential, activation="sigmoid", units=1),
    "one_logit": _seeded(_sequential, activation=None, units=1),
    "grey28": _seeded(_sequential, shape=(28, 28, 1)),
    "subclassed": _seeded(_subclassed),
    "swish": _seeded(_sequential, hidden="swish"),
    "gelu": _seeded(_sequential, hidden="gelu"),
    "relu6": _seeded(_sequential, hidden="relu6"),
    "mixed_float16": _seeded(_sequential, dtype="mixed_float16"),
    "non_square": _seeded(_sequential, shape=(24, 40, 3)),
    "vit": _seeded(_vit),
    "mlp": _seeded(_mlp),
    "grouped": _seeded(_grouped),
    "preparing": _seeded(_preparing),
}


@functools.cache
def classifier(kind: str, batch_size: int = 8) -> Any:
    """The kind behind the door: one for all tests, so that what was compiled for one serves the next.

    Who changes its weights, its batch size or the rules of its graphs makes one of their own.
    """
    from fruitaudit.models.keras.classifier import Classifier

    return Classifier.from_network(KINDS[kind](), batch_size=batch_size)
