"""The layers of a Keras network as plain records, and their weights."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras import taps
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.layers import Layer, LayerRole
from fruitaudit.records.data import FloatArray

_FUNCTIONS = re.compile(
    r"activation|p?relu6?|leakyrelu|s?elu|celu|gelu|silu|swish|sigmoid|tanh|softplus|softsign|hardsilu|hardswish"
    r"|hardsigmoid|hardtanh|mish|squareplus|sparseplus",
    re.IGNORECASE,
)
"""Layers and operations of Keras that are an activation function and nothing else."""
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
)


def layer_records(trace: taps.Trace) -> list[Layer]:
    """A record of each layer call, in the order in which they returned."""
    makers = defaultdict[int, list[str]](list)  # of each tensor, by its identity
    for call in trace.done:
        if call.output is not None:
            makers[id(call.output)].append(call.path)
    return [
        Layer(
            path=call.path,
            kind=call.kind,
            role=_role(call),
            shape=call.shape,
            input_shape=tuple(call.inputs[0].shape)[1:] if call.inputs else (),
            reads=tuple(path for tensor in dict.fromkeys(map(id, call.inputs)) for path in makers[tensor]),
            activation=_activation(call),
        )
        for call in trace.done
    ]


def weights(call: taps.Call) -> tuple[FloatArray, FloatArray | None]:
    """Kernel, whose last axis counts the outputs, and bias (outputs,) of a dense layer or a convolution.

    Of a separable convolution the part that has a place; a depthwise one has `out` filters for each input.
    """
    layer = call.layer
    kernel = getattr(layer, "depthwise_kernel", None) if isinstance(layer, keras.layers.SeparableConv2D) else None
    kernel = kernel if kernel is not None else getattr(layer, "kernel", None)
    if kernel is None:
        raise CannotExplain(f"the layer {call.path} has no kernel; name a convolution or a dense layer")
    numbers = np.asarray(kernel, dtype=np.float32)
    # A transposed convolution is turned around, so that its last axis counts filters as those of the others do.
    numbers = numbers.swapaxes(2, 3) if isinstance(layer, keras.layers.Conv2DTranspose) else numbers
    bias = getattr(layer, "bias", None)
    return numbers, None if bias is None else np.asarray(bias, dtype=np.float32)


def _role(call: taps.Call) -> LayerRole:
    if isinstance(call.layer, _CONVOLUTIONS):
        return "convolution"
    if _FUNCTIONS.fullmatch(call.kind):
        return "activation"
    kinds: dict[str, LayerRole] = {
        "BatchNormalization": "normalization",
        "Dense": "dense",
        "GlobalAveragePooling2D": "global average pooling",
    }
    return kinds.get(call.kind, "other")


def _activation(call: taps.Call) -> str:
    name: Any = getattr(getattr(call.layer, "activation", None), "__name__", None)
    if _role(call) == "activation":
        return str(name or call.kind.lower())
    return "" if name in (None, "linear") else str(name)
