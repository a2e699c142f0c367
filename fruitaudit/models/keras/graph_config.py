"""The calls between the layers of a Functional model, as its description lists them, of Keras 2 and 3."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from fruitaudit.models.keras.declared import Shape, shape_of


class Node(NamedTuple):
    """One call of a layer: its name, and which of its calls."""

    layer: str
    call: int


Source = tuple[Node, Shape | None]
"""Where an input comes from, and the shape that the file claims it has."""


def calls_of(layers: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Node, list[Source]]]:
    """Every call after those whose outputs it takes; calls in a circle, and of what is not there, last."""
    calls = {node: (layer, sources) for layer in layers for node, sources in nodes_of(layer)}
    missing = {node: {key for key, _ in sources if key in calls} for node, (_, sources) in calls.items()}
    takers: dict[Node, list[Node]] = defaultdict(list)
    for node, keys in missing.items():
        for key in keys:
            takers[key].append(node)
    ready = deque(node for node, keys in missing.items() if not keys)
    while missing:
        node = ready.popleft() if ready else next(iter(missing))
        if missing.pop(node, None) is None:
            continue
        layer, sources = calls[node]
        yield layer, node, sources
        for taker in takers[node]:
            if taker in missing:
                missing[taker].discard(node)
                if not missing[taker]:
                    ready.append(taker)


def nodes_of(layer: dict[str, Any]) -> list[tuple[Node, list[Source]]]:
    """The calls of a layer; one without inputs where none is listed."""
    config = layer.get("config")
    name = str(layer.get("name") or (config.get("name") if isinstance(config, dict) else None))
    nodes = layer.get("inbound_nodes")
    found = [list(_sources(node)) for node in nodes] if isinstance(nodes, list) else []
    return [(Node(name, i), sources) for i, sources in enumerate(found or [[]])]


def outputs_of(value: Any) -> list[tuple[str, int, int]]:
    """[name, call, output] triples in a list of them, a list of one, or a mapping."""
    found, stack = [], [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            if (triple := _triple(item)) is not None:
                found.append(triple)
            else:
                stack.extend(reversed(item))
    return found


def _sources(node: Any) -> Iterator[Source]:
    """Tensors in the arguments of a call, in order."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            config = item.get("config")
            if isinstance(config, dict) and (triple := _triple(config.get("keras_history"))) is not None:
                # Of several outputs only the first has the shape that is followed.
                yield Node(*triple[:2]) if not triple[2] else Node("", -1), shape_of(config.get("shape"))
        elif isinstance(item, dict):
            stack.extend(reversed(item.values()))
        elif isinstance(item, list):
            if (triple := _triple(item[:3])) is not None:
                yield Node(*triple[:2]) if not triple[2] else Node("", -1), None
            else:
                stack.extend(reversed(item))


def _triple(value: Any) -> tuple[str, int, int] | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    name, call, output = value
    return (name, call, output) if isinstance(name, str) and type(call) is type(output) is int else None
