"""Layers of Keras 2 that Keras 3 has: which keys of their config are renamed, left out, or must have one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fruitaudit.models.keras.keras2 import objects
from fruitaudit.models.keras.keras2.errors import Untranslatable
from fruitaudit.runtime.text import shortened

Config = dict[str, Any]
Translate = Callable[[Any], dict[str, Any]]
"""Of a layer in a layer."""

_SAME = {
    "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "BatchNormalization", "Bidirectional", "CenterCrop",
    "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "Cropping1D",
    "Cropping2D", "Cropping3D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense",
    "Embedding", "Flatten", "GRU", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "GlobalMaxPooling3D", "GroupNormalization", "Identity", "LSTM", "LayerNormalization", "LeakyReLU", "Masking",
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum", "MultiHeadAttention", "Multiply",
    "Normalization", "PReLU", "Permute", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip",
    "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing",
    "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "Softmax", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "Subtract", "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D",
    "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
}  # fmt: skip
_RENAMED = {
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization", "LayerNormalizationV1": "LayerNormalization",
    "Convolution2D": "Conv2D", "Deconvolution2D": "Conv2DTranspose", "SeparableConvolution2D": "SeparableConv2D",
    "ThresholdedReLU": "ReLU", "RandomHeight": "Identity", "RandomWidth": "Identity",
}  # fmt: skip
"""RandomHeight and RandomWidth change nothing but training."""
_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_LEFT_OUT: dict[str, tuple[str, ...]] = {
    "BatchNormalization": ("fused", "renorm_clipping", "renorm_momentum", "adjustment", "synchronized"),
    "DepthwiseConv1D": ("filters", *_KERNEL),
    "DepthwiseConv2D": ("filters", *_KERNEL),
    "SeparableConv1D": _KERNEL,
    "SeparableConv2D": _KERNEL,
    "RandomCrop": ("seed",),
    "SpatialDropout1D": ("noise_shape", "trainable"),
    "SpatialDropout2D": ("noise_shape", "trainable"),
    "SpatialDropout3D": ("noise_shape", "trainable"),
    "Embedding": ("input_length", "activity_regularizer", "sparse"),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "LSTM": ("implementation", "zero_output_for_mask"),
    "GRU": ("implementation", "zero_output_for_mask"),
    "SimpleRNN": ("implementation", "zero_output_for_mask"),
    "Identity": ("factor", "interpolation", "seed"),
}
"""Keys without a meaning for predictions."""
_MUST_BE: dict[str, dict[str, object]] = {
    "BatchNormalization": {"renorm": False, "virtual_batch_size": None},
    "DepthwiseConv1D": {"groups": 1}, "DepthwiseConv2D": {"groups": 1},
    "SeparableConv1D": {"groups": 1}, "SeparableConv2D": {"groups": 1},
    "Conv1DTranspose": {"groups": 1}, "Conv2DTranspose": {"groups": 1}, "Conv3DTranspose": {"groups": 1},
    "LSTM": {"time_major": False}, "GRU": {"time_major": False}, "SimpleRNN": {"time_major": False},
    "Attention": {"causal": False}, "AdditiveAttention": {"causal": False},
}  # fmt: skip
"""Keys that Keras 3 does not know, and the value that means the same without them."""
_KEYS = {
    ("LeakyReLU", "alpha"): "negative_slope",
    ("ThresholdedReLU", "theta"): "threshold",
}
_FUNCTIONS = {"activation", "recurrent_activation"}
_INNER = {"layer", "backward_layer"}
_INPUT = {"batch_input_shape", "batch_shape", "input_shape", "input_dtype"}


def known(kind: str) -> bool:
    """Whether a class of Keras 2 has a counterpart here."""
    return kind in _SAME or kind in _RENAMED


def translated(kind: str, config: Config, name: str, inner: Translate) -> dict[str, Any]:
    """A layer of Keras 3 that computes the same. `inner` translates a layer in it."""
    new_kind = _RENAMED.get(kind, kind)
    must_be = _MUST_BE.get(new_kind, {})
    result: Config = {}
    for key, value in config.items():
        if key in _INPUT or key in _LEFT_OUT.get(new_kind, ()):
            continue
        if key in must_be:
            if value != must_be[key]:
                raise Untranslatable(f"{shortened(name)} ({kind}) has {key} {shortened(value)}, which Keras 3 has not")
            continue
        result[_KEYS.get((kind, key), key)] = _value(key, value, inner)
    result["name"] = name
    if new_kind == "BatchNormalization" and isinstance(result.get("axis"), list):
        result["axis"] = _only(result["axis"], name)
    if kind == "RandomCrop":
        # Keras 2 cuts out the middle where it does not train; Keras 3 leaves the image as it is.
        new_kind, result["crop_to_aspect_ratio"] = "Resizing", True
    if new_kind == "GRU":
        result.setdefault("reset_after", False)
    return objects.of_keras(new_kind, result)


def _value(key: str, value: Any, inner: Translate) -> Any:
    if key == "dtype":
        return objects.number_type(value)
    if key in _INNER and isinstance(value, dict):
        return inner(value)
    if key in _FUNCTIONS:
        # A layer may stand where a function is asked for.
        if isinstance(value, dict) and known(str(value.get("class_name"))):
            return inner(value)
        return objects.activation(value)
    return objects.value_of(objects.part(key, value))


def _only(axes: list[Any], name: str) -> Any:
    if len(axes) != 1:
        raise Untranslatable(f"{shortened(name)} normalizes along {len(axes)} axes, which Keras 3 has not")
    return axes[0]
