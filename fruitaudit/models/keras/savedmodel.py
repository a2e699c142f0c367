"""A SavedModel as a Keras model: its serving function, unfolded into the graph of whoever calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.backend import keras, tf

HIDES = ("a SavedModel hides its layers; take a .keras or .h5 file of the same model, or use occlusion "
         "instead")  # fmt: skip
"""The end of a refusal: what to do where a layer is needed."""
_ENDPOINTS = ("serving_default", "serve")
_MAX_UNFOLDED = 1_500_000_000
"""Bytes of weights: unfolding writes them into one message, which may not be larger than 2 GB."""


def open_saved_model(path: Path) -> Any:
    """A small Keras model around a SavedModel's serving function. Its layers stay hidden, its logits do not."""
    endpoint, shape, dtype = _signature(path)
    images = keras.Input(shape[1:], batch_size=shape[0], dtype=dtype, name="images")
    output = SavedModelLayer(str(path), call_endpoint=endpoint, name="saved_model")(images)
    if isinstance(output, dict):
        if len(output) != 1:
            raise ModelError(f"{path}: the SavedModel has {len(output)} outputs ({', '.join(sorted(output))}); export "
                             "a model that returns only the class scores")  # fmt: skip
        [output] = output.values()
    return keras.Model(images, output, name=re.sub(r"\W", "_", path.resolve().name))


class SavedModelLayer(keras.layers.TFSMLayer):  # type: ignore[misc]
    """TFSMLayer calls one opaque operation, behind which no softmax can be seen. Here its operations are copied.

    Where they cannot be, it stays a TFSMLayer, and the head says that the logits are hidden.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unfolded: Any = None
        function = self.call_endpoint_fn
        # A signature is one function with one graph; an attribute may be many and is left as it is.
        if hasattr(function, "graph") and sum(w.numpy().nbytes for w in self.weights) < _MAX_UNFOLDED:
            with suppress(ValueError, NotImplementedError, tf.errors.OpError):
                self._unfolded = _unfold(function)
                self._keys = sorted(function.structured_outputs)

    def call(self, inputs: Any, training: bool = False, **kwargs: Any) -> Any:
        if self._unfolded is None or not tf.is_tensor(inputs) or tf.executing_eagerly():
            return super().call(inputs, training=training, **kwargs)
        graph, images, answers = self._unfolded
        outputs = tf.graph_util.import_graph_def(graph, {images: inputs}, answers, name="")
        return dict(zip(self._keys, outputs, strict=True))


def hides_layers(calls: Iterable[Any]) -> bool:
    """Whether one of these layer calls is that of a SavedModel."""
    return any(isinstance(call.layer, SavedModelLayer) for call in calls)


def _unfold(function: Any) -> tuple[Any, str, list[str]]:
    """The graph of a function with all functions inside it inlined and weights as constants; its ends by name."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function, aggressive_inlining=True)
    graph = _unmarked(frozen.graph.as_graph_def())
    if graph.library.function:
        # What was to be compiled on its own was left as it was; unmarked, it is inlined too.
        ends = {frozen.inputs[0].name: None}, [tensor.name for tensor in frozen.outputs]
        again = tf.compat.v1.wrap_function(
            lambda images: tf.graph_util.import_graph_def(graph, dict.fromkeys(ends[0], images), ends[1], name=""),
            [tf.TensorSpec(frozen.inputs[0].shape, frozen.inputs[0].dtype)],
        )
        frozen = convert_variables_to_constants_v2(again, aggressive_inlining=True)
        graph = _unmarked(frozen.graph.as_graph_def())
    return graph, frozen.inputs[0].name, [tensor.name for tensor in frozen.outputs]


def _unmarked(graph: Any) -> Any:
    """The graph without gradients named by the process that made the file, and without marks to compile functions."""
    functions = graph.library.function
    for part in (*graph.node, *functions, *(node for f in functions for node in f.node_def)):
        for mark in ("_gradient_op_type", "_XlaMustCompile", "_noinline"):
            part.attr.pop(mark, None)
        if "f" in part.attr:
            part.attr["f"].func.name += "_unmarked"
    for function in functions:
        # This process knows one of its name, with its marks.
        function.signature.name += "_unmarked"
    return graph


def _signature(path: Path) -> tuple[str, tuple[int | None, ...], str]:
    """Name, input shape and input type of the function that serves, read from the description alone."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf import saved_model_pb2

    description = saved_model_pb2.SavedModel()
    try:
        description.ParseFromString((path / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path}: saved_model.pb is damaged ({error}); copy or export it again") from error
    signatures = {name: s for graph in description.meta_graphs for name, s in graph.signature_def.items()}
    endpoint = next((name for name in _ENDPOINTS if name in signatures), None)
    if endpoint is None:
        raise ModelError(f"{path}: the SavedModel has no serving function (serving_default); export it with "
                         "model.export(folder)")  # fmt: skip
    inputs = list(signatures[endpoint].inputs.values())
    if len(inputs) != 1:
        raise ModelError(f"{path}: the SavedModel has {len(inputs)} inputs; an image classifier takes one image")
    shape = tuple(None if dim.size < 0 else int(dim.size) for dim in inputs[0].tensor_shape.dim)
    dtype = tf.dtypes.as_dtype(inputs[0].dtype)
    if not (dtype.is_floating or dtype.is_integer):
        raise ModelError(f"{path}: the SavedModel takes {dtype.name}, not an array of images; export a model that "
                         "takes float32 images")  # fmt: skip
    return endpoint, shape, dtype.name
