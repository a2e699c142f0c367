"""The drawn diagram of a model: feature maps as volumes, vectors as bars, in the order in which they are computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.records.model import LayerRow, ModelSummary

MOST_BLOCKS = 16
PITCH = 88
HEIGHT = 150
_SILENT = ("Dropout", "Activation", "ReLU", "BatchNormalization", "InputLayer", "Rescaling", "GaussianNoise")


@dataclass(frozen=True)
class DiagramBlock:
    """One volume or bar: its words, and its geometry in SVG units. `depth` is 0 for a vector."""

    kind: str
    detail: str
    shape: str
    title: str
    family: str
    x: float
    y: float
    width: float
    height: float
    depth: float

    @property
    def middle(self) -> float:
        return self.x + (self.width + self.depth) / 2


@dataclass(frozen=True)
class Diagram:
    blocks: tuple[DiagramBlock, ...]
    width: int
    height: int
    note: str


def diagram(model: ModelSummary) -> Diagram:
    """At most MOST_BLOCKS blocks: layers that keep the shape join the block before them, then whole stages join."""
    layers = [layer for layer in model.layers if layer.output_shape]
    stages = _join(layers, lambda layer: layer.output_shape, only_silent=True)
    if len(stages) > MOST_BLOCKS:
        stages = _join(layers, lambda layer: layer.output_shape)
    if len(stages) > MOST_BLOCKS:
        stages = _join(layers, lambda layer: (len(layer.output_shape), layer.output_shape[:2]))
    selected = stages[:MOST_BLOCKS]
    largest = max(model.input_shape[:2])
    entry = LayerRow("input", "Input", model.input_shape, 0)
    blocks = tuple(_block(i, stage, largest) for i, stage in enumerate([[entry], *selected]))
    joined = sum(map(len, stages)) > len(stages)
    note = "Layers that do not change the shape are drawn together with the one before them." if joined else ""
    if len(stages) > len(selected):
        note = f"The first {len(selected)} of {len(stages)} stages are drawn; the table lists every layer."
    return Diagram(blocks, PITCH * len(blocks) + 16, HEIGHT + 72, note)


def _join(layers: Sequence[LayerRow], key: object, *, only_silent: bool = False) -> list[list[LayerRow]]:
    stages: list[list[LayerRow]] = []
    for layer in layers:
        same = bool(stages) and key(stages[-1][-1]) == key(layer)  # type: ignore[operator]
        if same and (layer.kind in _SILENT or not only_silent):
            stages[-1].append(layer)
        elif layer.kind != "InputLayer":
            stages.append([layer])
    return stages


def _block(index: int, stage: Sequence[LayerRow], largest: int) -> DiagramBlock:
    leader, shape = stage[0], stage[-1].output_shape
    width, height, depth = _size(shape, largest)
    left = index * PITCH + (PITCH - width - depth) / 2
    names = ", ".join(f"{layer.name} ({layer.kind})" for layer in stage[:8]) + (", ..." if len(stage) > 8 else "")
    kind = leader.kind if len(stage) == 1 or len({layer.kind for layer in stage} - set(_SILENT)) <= 1 else "Stage"
    # Filters and units are the last axis of the shape, which is printed below.
    detail = f"{len(stage)} layers" if kind == "Stage" else leader.brief
    top = (HEIGHT - height + depth) / 2
    return DiagramBlock(kind, detail, _shape(shape), names, _family(kind), left, top, width, height, depth)


def _size(shape: Sequence[int | None], largest: int) -> tuple[float, float, float]:
    """Width by channels, height and depth by the picture's side; all compressed, so that small ones stay visible."""
    if len(shape) < 3:
        return 9.0, min(HEIGHT - 10.0, 18 + 11 * math.log2(max(2, shape[-1] or 2))), 0.0
    side = max(shape[0] or 1, shape[1] or 1) / max(largest, 1)
    return 5 + 4 * math.log2(max(1, shape[-1] or 1)), 14 + 92 * min(side, 1.0) ** 0.6, 4 + 24 * min(side, 1.0) ** 0.6


def _shape(shape: Sequence[int | None]) -> str:
    return "\u00d7".join("?" if axis is None else str(axis) for axis in shape)


def _family(kind: str) -> str:
    families = {
        "Conv": "conv",
        "Pool": "pool",
        "Dense": "dense",
        "Input": "input",
        "Flatten": "flatten",
        "Stage": "conv",
    }
    return next((family for word, family in families.items() if word in kind), "other")
