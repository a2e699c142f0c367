"""Explanations as named arrays, and back: what lies in an NPZ file, without pickles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fruitaudit.records import evidence, explanations
from fruitaudit.records.data import Arrays
from fruitaudit.records.explanations import Explanation

LAYOUT = "layout"
"""Name of the array that says, as JSON, how the others make up the record."""
_TYPES = {
    kind.__name__: kind
    for kind in (
        explanations.Maps,
        explanations.Segments,
        evidence.FeatureLayer,
        evidence.FeatureMaps,
        evidence.FilterBank,
        evidence.LayerFilters,
        evidence.Unit,
        evidence.Synthetic,
        evidence.Counterfactual,
        evidence.Counterfactuals,
        evidence.Neighbours,
    )
}


def pack(explanation: Explanation) -> Arrays:
    """The explanation as arrays: fields by name ("layers.0.values"), and `layout`. Maps are called "maps"."""
    arrays: Arrays = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, np.ndarray):
            name = "maps" if path == "values" and isinstance(explanation, explanations.Maps) else path
            arrays[name] = value
            return {"array": name}
        if dataclasses.is_dataclass(value):
            below = {f.name: walk(getattr(value, f.name), _below(path, f.name)) for f in dataclasses.fields(value)}
            return {"record": type(value).__name__, "fields": below}
        if isinstance(value, Mapping):
            return {"mapping": {key: walk(v, _below(path, str(i))) for i, (key, v) in enumerate(value.items())}}
        if isinstance(value, tuple):
            return {"tuple": [walk(v, _below(path, str(i))) for i, v in enumerate(value)]}
        return value

    return {LAYOUT: np.array(json.dumps(walk(explanation, "")))} | arrays


def unpack(arrays: Mapping[str, npt.NDArray[Any]]) -> Explanation:
    """The explanation that `pack` made. Raises KeyError or ValueError for anything else."""

    def build(node: Any) -> Any:
        match node:
            case {"array": name}:
                return arrays[name]
            case {"record": name, "fields": fields}:
                return _TYPES[name](**{key: build(value) for key, value in fields.items()})
            case {"mapping": items}:
                return {key: build(value) for key, value in items.items()}
            case {"tuple": items}:
                return tuple(map(build, items))
        return node

    explanation: Explanation = build(json.loads(str(arrays[LAYOUT])))
    return explanation


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
