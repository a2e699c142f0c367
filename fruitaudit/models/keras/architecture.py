"""The table of layers: what a model is made of, in the order in which it runs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from fruitaudit.records.model import LayerRow, ModelSummary

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier


def summarise(classifier: Classifier, *, class_names: tuple[str, ...], class_names_from: str) -> ModelSummary:
    """All that is known of a model before an image is shown to it."""
    loaded, network = classifier.loaded, classifier.network
    return ModelSummary(
        name=network.name,
        file=loaded.path.name if loaded else "",
        sha256=classifier.sha256,
        format=loaded.format if loaded else "in memory",
        input_shape=classifier.input_shape,
        class_names=class_names,
        class_names_from=class_names_from,
        head=classifier.head.kind,
        logit_source=classifier.logit_source,
        parameters=_count_new(network, set()),
        layers=layer_rows(classifier),
        cam_layer=classifier.cam_layer,
        notes=loaded.notes if loaded else (),
        variation=classifier.variation,
    )


def layer_rows(classifier: Classifier) -> tuple[LayerRow, ...]:
    """One row per layer call, in running order. Each weight counts once, for the innermost layer that holds it."""
    counted: set[int] = set()
    parameters: dict[int, int] = {}
    # Inner layers return before the layer around them, so that the outer one keeps only what is its own.
    for call in classifier.trace.done:
        parameters[id(call)] = _count_new(call.layer, counted)
    rows = [
        LayerRow(call.path, call.kind, call.shape, parameters[id(call)], call.depth, *details(call.layer))
        for call in classifier.trace.begun
    ]
    if unassigned := _count_new(classifier.network, counted):
        kind = type(classifier.network).__name__
        note = ("weights that none of its layers holds",) * 2
        rows.append(LayerRow(classifier.network.name, kind, (), unassigned, 0, *note))
    return tuple(rows)


def details(layer: Any) -> tuple[str, str]:
    """What distinguishes a layer, e.g. "2x2, 16 filters, relu"; and the same without filters and units."""
    if isinstance(inner := getattr(layer, "layers", None), list):
        return (f"{len(inner)} layers",) * 2
    words = [_by(getattr(layer, name, None)) for name in ("kernel_size", "pool_size", "size", "target_shape")]
    strides = getattr(layer, "strides", None)
    if _by(strides) and strides not in (getattr(layer, "pool_size", None), (1, 1)):
        words.append(f"stride {_by(strides)}")
    if _by(dilation := getattr(layer, "dilation_rate", None)) and dilation != (1, 1):
        words.append(f"dilation {_by(dilation)}")
    width, numbers = (_numbers(layer, texts) for texts in (_WIDTH, _NUMBERS))
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    ending = (*numbers, "" if activation == "linear" else activation)
    return ", ".join(filter(None, (*words, *width, *ending))), ", ".join(filter(None, (*words, *ending)))


def _numbers(layer: Any, texts: dict[str, str]) -> list[str]:
    """Those attributes of the layer that are numbers, in words."""
    return [
        text.format(value)
        for name, text in texts.items()
        if isinstance(value := getattr(layer, name, None), int | float) and not isinstance(value, bool)
    ]


_WIDTH = {"filters": "{} filters", "units": "{} units"}
_NUMBERS = {
    "num_heads": "{} heads",
    "rate": "rate {:g}",
    "max_value": "at most {:g}",
    "scale": "times {:.4g}",
    "offset": "plus {:.4g}",
}


def _by(value: object) -> str:
    """(2, 2) -> "2x2"; "" for anything that is no tuple of numbers."""
    if isinstance(value, tuple | list) and value and all(isinstance(n, int) for n in value):
        return "x".join(map(str, value))
    return ""


def _count_new(layer: Any, counted: set[int]) -> int:
    """How many numbers the layer's weights hold, of those not counted before."""
    new = [weight for weight in getattr(layer, "weights", ()) if id(weight) not in counted]
    counted.update(map(id, new))
    return sum(prod(weight.shape) for weight in new)
