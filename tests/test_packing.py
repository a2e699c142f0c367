"""Explanations as arrays and back."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from fruitaudit.records.evidence import FeatureLayer, FeatureMaps, Synthetic, Unit
from fruitaudit.records.explanations import Explanation, Maps, Segments
from fruitaudit.records.packing import LAYOUT, pack, unpack
from fruitaudit.runtime.files import write_arrays

ONES = np.ones((2, 3, 4), np.float32)


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize(
    "explanation",
    [
        Maps(ONES, {"completeness/error": np.array([0.1, np.nan], np.float32)}, ("said",), {"a.b/c": -ONES}),
        Segments(np.zeros((2, 3, 4), np.int32), np.ones((2, 5), np.float32)),
        FeatureMaps((FeatureLayer("net/conv", "after relu", np.arange(2), 16, np.ones((2, 3, 3, 2), np.float32)),)),
        Synthetic(
            (Unit("conv", 3, "filter 3"), Unit("", 0, "Apple")),
            np.ones((2, 3, 4, 3), np.float32), np.zeros(3, np.float32), np.ones(3, np.float32),
            np.ones(2, np.float32), np.ones(2, np.float32), ("a", "b"), np.ones((2, 3, 4, 3), np.float32),
        ),
    ],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_comes_back_as_it_was(explanation: Explanation, tmp_path) -> None:
    write_arrays(tmp_path / "e.npz", pack(explanation))
    with np.load(tmp_path / "e.npz", allow_pickle=False) as stored:
        assert same(unpack(dict(stored)), explanation)


def test_maps_lie_under_the_name_that_the_readme_gives() -> None:
    assert np.array_equal(pack(Maps(ONES))["maps"], ONES)


def test_a_record_of_another_version_is_refused() -> None:
    arrays = pack(Maps(ONES))
    layout = json.loads(str(arrays[LAYOUT]))
    layout["record"] = "Hologram"
    with pytest.raises(KeyError, match="Hologram"):
        unpack(arrays | {LAYOUT: np.array(json.dumps(layout))})
