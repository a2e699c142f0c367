"""The table of layers: what a model is made of, in the order in which it runs."""

from __future__ import annotations

from math import prod
from typing import Any

from fruitaudit.models.classifier import Classifier
from fruitaudit.models.taps import Call
from fruitaudit.records.model import LayerRow, ModelSummary


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
        parameters=_count(network.weights),
        layers=layer_rows(classifier),
        cam_layer=classifier.cam_layer,
        notes=loaded.notes if loaded else (),
    )


def layer_rows(classifier: Classifier) -> tuple[LayerRow, ...]:
    """One row a layer call. Each row counts the weights that no row before or inside it holds: they add up."""
    counted: set[int] = set()
    rows = []
    for call in reversed(classifier.trace.done):
        # Outer layers return after the inner ones; their own weights are those that no inner layer has.
        inner = {id(w) for layer in _inner(call.layer) for w in layer.weights}
        own = [w for w in getattr(call.layer, "weights", ()) if id(w) not in inner and id(w) not in counted]
        counted.update(id(w) for w in own)
        rows.append((call, _count(own)))
    parameters = {id(call): n for call, n in rows}
    return tuple(
        LayerRow(
            name=call.path,
            kind=call.kind,
            output_shape=call.shape,
            parameters=parameters[id(call)],
            depth=call.depth,
            detail=detail(call.layer),
        )
        for call in classifier.trace.begun
    )


def detail(layer: Any) -> str:
    """What distinguishes a layer, e.g. "2x2, 16 filters, relu"."""
    config = layer.get_config() if _describes_itself(layer) else {}
    words = []
    if "kernel_size" in config:
        words.append("x".join(map(str, config["kernel_size"])))
    if "pool_size" in config:
        words.append("x".join(map(str, config["pool_size"])))
    return ", ".join(words)
