"""What a model file would unfold to, added up from its description before Keras builds anything.

Shapes are followed from layer to layer as far as they can be derived. Where they cannot, the rest is unknown, which
refuses nothing: what is known is a lower bound. TensorFlow is not imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.declared import Options, Rule, Senseless, Shape, Size, product, shape_of
from fruitaudit.models.keras.graph_config import Node, calls_of, outputs_of
from fruitaudit.models.keras.keras2.objects import HARD_SIGMOID
from fruitaudit.models.keras.keras2.operation_sizes import operation_size
from fruitaudit.models.keras.keras2.operations import OPERATION
from fruitaudit.models.keras.layer_sizes import rule_of, same
from fruitaudit.models.memory import MOST_NUMBERS, MemoryNeeds, check_fit, size_text
from fruitaudit.runtime.text import shortened

_MAX_CALLS = 20_000
"""Calls of layers in one pass. Networks of a thousand layers have under 2,000."""
_NESTED = {"Sequential", "Functional", "Model"}
_NO_COPY = {"Reshape", "Flatten", "InputLayer"}
_CELLS = {"RNN", "StackedRNNCells"}
_OWN: dict[str, Rule] = {OPERATION: operation_size, HARD_SIGMOID: same}
"""Layers of fruitaudit's, which a translation of a file of Keras 2 may hold."""
_WRAPPERS = {"TimeDistributed", "Bidirectional", "SpectralNormalization", "Wrapper"}


def check_unfolding(path: Path, config: dict[str, Any], limit: int | None) -> None:
    """Refuse a model that is larger than the limit, or than the machine. `limit`: bytes of memory.

    Raises ModelError or ConfigError in one sentence, which names the largest layer and its size.
    """
    walk = _Walk(path)
    walk.call(config, [])
    check_fit(
        MemoryNeeds(walk.image, walk.all_weights), limit, f"{path}: {walk.largest}" if walk.largest else f"{path}: "
    )


@dataclass
class _Walk:
    """One pass through the described layers."""

    path: Path
    image: int = 0
    """Bytes that are computed from an image, at the least."""
    weights: dict[int, int] = field(default_factory=dict)
    """Bytes by layer; a layer that is called twice has them once."""
    calls: int = 0
    largest: str = ""
    _most: int = 10**8
    """Bytes of the largest layer; one of less is not worth naming."""

    @property
    def all_weights(self) -> int:
        return sum(self.weights.values())

    def call(self, layer: dict[str, Any], inputs: Sequence[Shape | None]) -> Shape | None:
        """The output of a layer for inputs of these shapes, None where one is unknown."""
        self.calls += 1
        if self.calls > _MAX_CALLS:
            raise ModelError(f"{self.path}: it would unfold to over {_MAX_CALLS:,} calls of layers, which no model "
                             "needs; do not use it")  # fmt: skip
        kind, options = str(layer.get("class_name")).rsplit(">", 1)[-1], options_of(layer)
        if kind in _NESTED:
            inner = options.values.get("layers")
            return self._nested(layer, [item for item in inner if isinstance(item, dict)], inputs) if isinstance(
                inner, list
            ) else None  # fmt: skip
        try:
            if kind == "InputLayer":
                return self._count(layer, kind, Size(_input(options, inputs)))
            if kind in _CELLS:
                return self._recurrent(layer, options, inputs)
            if kind in _WRAPPERS:
                return self._wrapped(kind, layer, options, inputs)
            return self._plain(kind, layer, options, inputs)
        except Senseless as error:
            raise ModelError(f"{self.path}: the layer {_name(layer)} ({shortened(kind)[1:-1]}) {error}; save the model "
                             "again with model.save('model.keras')") from None  # fmt: skip
        except (IndexError, ValueError, TypeError):
            return None  # axes that do not fit each other: Keras says so

    def _plain(
        self, kind: str, layer: dict[str, Any], options: Options, inputs: Sequence[Shape | None]
    ) -> Shape | None:
        rule = _OWN.get(kind) or rule_of(kind, str(layer.get("module")))
        if rule is None:
            return None
        # Keras builds a layer for the shape that is written beside it, whatever it is called with.
        declared = _built_for(layer)
        if declared is not None:
            self._count(layer, kind, rule(options, [declared] * max(len(inputs), 1))._replace(output=None))
        known = [shape for shape in inputs if shape is not None]
        if len(known) < len(inputs) or not known:
            if kind == "Embedding":
                self._count(layer, kind, rule(options, []))
            return None
        return self._count(layer, kind, rule(options, known))

    def _count(self, layer: dict[str, Any], kind: str, size: Size) -> Shape | None:
        label = f"the layer {_name(layer)} ({shortened(kind)[1:-1]})"
        weights = 4 * size.weights
        self.weights[id(layer)] = max(self.weights.get(id(layer), 0), weights)
        self._remember(weights, f"{label} has {size.weights:,} weights ({size_text(weights)}); ")
        numbers = (0 if size.output is None else product(size.output[1:])) + size.beside
        half = "16" in str(layer.get("config", {}).get("dtype")) if isinstance(layer.get("config"), dict) else False
        made = numbers * (2 if half else 4)
        shape = " x ".join(f"{n:,}" if n is not None else "?" for n in (size.output or ())[1:])
        what = f"{label} makes {shape} numbers of an image ({size_text(made)}); "
        self._remember(made, what)
        if numbers > MOST_NUMBERS:
            raise ModelError(f"{self.path}: {what}no layer of an image classifier is that large: do not use it")
        if kind not in _NO_COPY and size.output != () and rule_of(kind) is not same:
            self.image += made
        return size.output

    def _remember(self, size: int, what: str) -> None:
        if size > self._most:
            self._most, self.largest = size, what

    def _wrapped(
        self, kind: str, layer: dict[str, Any], options: Options, inputs: Sequence[Shape | None]
    ) -> Shape | None:
        inner = options.values.get("layer")
        if not isinstance(inner, dict):
            return None
        shape = inputs[0] if inputs and inputs[0] is not None else _built_for(layer)
        if kind != "TimeDistributed":
            output = self.call(inner, [shape])
            if kind == "Bidirectional" and output is not None:
                if options.has("merge_mode", "concat"):
                    output = (*output[:-1], None if output[-1] is None else 2 * output[-1])
                self.weights[id(layer)] = self.weights.get(id(inner), 0)
            return output
        if shape is None or len(shape) < 3:
            return self.call(inner, [None]) and None
        output = self.call(inner, [(shape[0], *shape[2:])])
        return None if output is None else self._count(layer, kind, Size((shape[0], shape[1], *output[1:])))

    def _recurrent(self, layer: dict[str, Any], options: Options, inputs: Sequence[Shape | None]) -> Shape | None:
        """Cells, each of which takes what the one before it returns."""
        shape = inputs[0] if inputs and inputs[0] is not None else _built_for(layer)
        cells = options.values.get("cells", options.values.get("cell"))
        for cell in cells if isinstance(cells, list) else [cells]:
            shape = self.call(cell, [shape]) if isinstance(cell, dict) else None
        return None

    def _nested(
        self, model: dict[str, Any], layers: list[dict[str, Any]], inputs: Sequence[Shape | None]
    ) -> Shape | None:
        if model.get("class_name") == "Sequential":
            shape = _larger(shape_of(options_of(model).values.get("build_input_shape")), _built_for(model))
            shape = _larger(shape, inputs[0] if inputs else None)
            for layer in layers:
                shape = self.call(layer, [shape if shape is not None else _declared_input(layer)])
            return shape
        return self._functional(model, layers, inputs)

    def _functional(
        self, model: dict[str, Any], layers: list[dict[str, Any]], inputs: Sequence[Shape | None]
    ) -> Shape | None:
        config = options_of(model).values
        given = dict(zip((name for name, *_ in outputs_of(config.get("input_layers"))), inputs, strict=False))
        shapes: dict[Node, Shape | None] = {}
        for layer, node, sources in calls_of(layers):
            before = [shapes[key] if shapes.get(key) is not None else declared for key, declared in sources]
            if node.layer in given and not sources:
                before = [given[node.layer]]
            shapes[node] = self.call(layer, before)
        results = outputs_of(config.get("output_layers"))
        return shapes.get(Node(*results[0][:2])) if len(results) == 1 else None


def options_of(layer: dict[str, Any]) -> Options:
    """The config of a layer, empty where it has none."""
    config = layer.get("config")
    return Options(config if isinstance(config, dict) else {})


def _name(layer: dict[str, Any]) -> str:
    return shortened(options_of(layer).values.get("name") or layer.get("name") or layer.get("class_name"))


def _input(options: Options, inputs: Sequence[Shape | None]) -> Shape | None:
    """What an input layer declares, or is given where that is more."""
    return _larger(_declared(options), inputs[0] if inputs else None)


def _larger(declared: Shape | None, given: Shape | None) -> Shape | None:
    """The larger of two shapes, axis by axis: Keras may build a layer for both."""
    if declared is None or given is None or len(declared) != len(given):
        return given if declared is None else declared
    return tuple(a if b is None else b if a is None else max(a, b) for a, b in zip(declared, given, strict=True))


def _declared(options: Options) -> Shape | None:
    value = next(
        (options.values[key] for key in ("batch_shape", "batch_input_shape", "shape") if key in options.values), None
    )
    if value is None:
        return None
    shape = shape_of(value)
    if shape is None:
        raise Senseless("declares an input whose shape is not made of whole numbers")
    return (None, *shape) if "shape" in options.values and "batch_shape" not in options.values else shape


def _declared_input(layer: dict[str, Any]) -> Shape | None:
    """Of the first layer of an older Sequential, which has no input layer."""
    return shape_of(options_of(layer).values.get("batch_input_shape"))


def _built_for(layer: dict[str, Any]) -> Shape | None:
    build = layer.get("build_config")
    return shape_of(build.get("input_shape")) if isinstance(build, dict) else None
