"""Functions of a model as graphs, traced once: tracing takes longer than many of the methods do."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary, ref

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
