"""Functions of a model as graphs, traced once: tracing takes longer than many of the methods do."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from fruitaudit.models.base import Model

_functions: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()


def compiled(model: Model, key: Hashable, function: Callable[..., Any], *signature: Any) -> Any:
    """`function(model, *tensors)` as a graph, traced once for a model and a key, and forgotten with the model.

    Without a signature it is a function of images alone. What it returns may depend on the model, the tensors and the
    key, and on nothing else.
    """
    from fruitaudit.models.keras.backend import tf

    functions = _functions.setdefault(model, {})
    if key not in functions:
        model_reference = ref(model)
        functions[key] = tf.function(
            lambda *tensors: function(model_reference(), *tensors),
            input_signature=signature or [image_spec(model)],
            autograph=False,
            jit_compile=False,
        )
    return functions[key]


def image_spec(model: Model) -> Any:
    """TensorSpec of any number of images, float32."""
    from fruitaudit.models.keras.backend import tf

    return tf.TensorSpec((None, *model.input_shape), tf.float32)


def score_spec(model: Model) -> Any:
    """TensorSpec of an (N, K) float32 array."""
    from fruitaudit.models.keras.backend import tf

    return tf.TensorSpec((None, model.n_classes), tf.float32)


def batches_of(model: Model, function: Callable[..., Any], *arrays: Any) -> list[Any]:
    """A compiled function on all rows of the arrays, as many at a time as the model takes, and its joined outputs."""
    starts = range(0, max(len(arrays[0]), 1), model.batch_size)
    parts = [[np.asarray(t) for t in function(*(a[i : i + model.batch_size] for a in arrays))] for i in starts]
    return [outputs[0] if len(outputs) == 1 else np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
