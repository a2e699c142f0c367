"""What the adapters share: the Keras model behind the classifier, as the libraries need it."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from fruitaudit.attribution.base import Model
from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import Capability
from fruitaudit.records.data import FloatArray
from fruitaudit.records.explanations import Explains

NEEDS: tuple[Capability, ...] = ("scores", "keras_network")


def network_of(model: Model, *, opens_model: bool = True) -> Any:
    """The Keras model, one output per class. Raises CannotExplain for anything else.

    `opens_model`: the library copies the model or takes its gradient, which the layer around a SavedModel forbids.
    """
    from fruitaudit.models.keras.backend import keras

    network = getattr(model, "network", None)
    if not isinstance(network, keras.Model):
        raise CannotExplain("this library explains Keras models only; use the native method instead")
    if not hasattr(network, "output_shape"):
        raise CannotExplain("this library explains models made of layers, and no code of their own; use the native "
                            "method instead")  # fmt: skip
    if network.output_shape[-1] != model.n_classes:
        raise CannotExplain(
            "this library explains models with one output per class only; use the native method instead"
        )
    if opens_model and any(isinstance(layer, keras.layers.TFSMLayer) for layer in network.layers):
        raise CannotExplain("this library cannot look into a SavedModel; use the native method instead")
    return network


def with_linear_head(model: Model, values: FloatArray) -> Any:
    """A copy of the network whose output is the logits, checked on `values` against the classifier's.

    Made here because tf-keras-vis's own `ReplaceToLinear` crashes on Sequential models and passes over Softmax layers.
    Raises CannotExplain where the copy's logits are not the classifier's.
    """
    from fruitaudit.models.keras.backend import keras

    network = network_of(model)
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    head = copy.layers[-1]
    if isinstance(head, keras.layers.Softmax):
        copy = keras.Model(copy.inputs, copy.layers[-2].output)
    elif getattr(head, "activation", None) is keras.activations.softmax:
        head.activation = keras.activations.linear
    with quiet():
        logits = np.asarray(copy(values, training=False))
    expected = model.logits(values)
    if not np.allclose(centred(logits), centred(expected), rtol=1e-3, atol=1e-3):
        raise CannotExplain("no copy of this model with its logits as output could be made; use the native method")
    return copy


def explained_by(network: Any, model: Model) -> Explains:
    """What a library explains that takes the output of `network` as it is: tried on random images."""
    values = np.random.default_rng(0).random((2, *model.input_shape), np.float32)
    with quiet():
        output = np.asarray(network(values, training=False))
    distances = {
        "logit": abs(output - model.logits(values)).max(),
        "probability": abs(output - model.probabilities(values)).max(),
    }
    return "logit" if distances["logit"] < distances["probability"] else "probability"


def centred(logits: FloatArray) -> FloatArray:
    """Logits without the constant per row that softmax does not see."""
    return logits - logits.mean(axis=1, keepdims=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A call into a library: no progress bars, no warnings about list inputs, no gradients of weights."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _without_weight_gradients():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _without_weight_gradients() -> Iterator[None]:
    """Let eager tapes pass over the gradients of convolution weights, which the libraries throw away.

    TensorFlow 2.21 computes them all the same, and some of them abort the process on processors with AVX-512:
    `free(): invalid pointer` in Conv2DBackpropFilter.
    """
    from tensorflow.python.ops import gen_nn_ops

    from fruitaudit.models.keras.backend import tf

    original = gen_nn_ops.conv2d_backprop_filter

    def zeros(input: Any, filter_sizes: Any, *rest: Any, **more: Any) -> Any:
        return tf.zeros(filter_sizes, input.dtype)

    gen_nn_ops.conv2d_backprop_filter = zeros
    try:
        yield
    finally:
        gen_nn_ops.conv2d_backprop_filter = original
