"""The ways of preparing images that are tried against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from fruitaudit.config.schema import PreprocessingSettings
from fruitaudit.data.preprocess import Preprocessor, ways_to_fit
from fruitaudit.records.data import DoubleArray

SCALES = ("0-1", "-1-1", "densenet", "0-255")
"""Each is tried with red first and with blue first; `densenet` stands for ImageNet's mean and deviation."""
BLUE_FIRST = "resnet50"
"""Blue first minus ImageNet's mean: it turns the channels round itself."""
VALUE_KEYS = ("scale", "channel_order")
FIT_KEYS = ("loader", "resize", "interpolation")
_WORDS = {"densenet": "ImageNet's mean and deviation", "resnet50": "BGR minus ImageNet's mean", "rgb": "red first",
          "bgr": "blue first", "center_crop": "center crop"}  # fmt: skip


def value_ways(prepared: Preprocessor) -> tuple[Preprocessor, ...]:
    """Scales and channel orders, the given way first; no two that give the same numbers."""
    ways: list[Preprocessor] = []
    for way in (prepared, *_all(prepared)):
        if not any(same_map(pixel_map(way), pixel_map(other)) for other in ways):
            ways.append(way)
    return tuple(ways)


def _all(prepared: Preprocessor) -> Iterator[Preprocessor]:
    if prepared.channels == 1:
        yield from (replace(prepared, scale=scale, channel_order="rgb") for scale in ("0-1", "-1-1", "0-255"))
        return
    yield from (replace(prepared, scale=scale, channel_order="rgb") for scale in (*SCALES, BLUE_FIRST))
    yield from (replace(prepared, scale=scale, channel_order="bgr") for scale in SCALES)


PixelMap = tuple[DoubleArray, DoubleArray]
"""(matrix (D, C), offset (D,)): what becomes of a pixel whose channels go from 0 to 1."""


def pixel_map(way: Preprocessor) -> PixelMap:
    """Of a way: values = matrix @ (pixel / 255) + offset."""
    offset = way.scaled(np.zeros(way.channels, np.uint8)).astype(np.float64)
    columns = [way.scaled(255 * row) - offset for row in np.eye(way.channels, dtype=np.uint8)]
    return np.stack(columns, axis=1), offset


def same_map(one: PixelMap, other: PixelMap) -> bool:
    """Whether both make the same numbers of pixels, but for rounding."""
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(one, other, strict=True))


def fit_ways(settings: PreprocessingSettings, prepared: Preprocessor) -> tuple[Preprocessor, ...]:
    """Loaders and ways of resizing that agree with what is written, the given way first."""
    ways = [prepared]
    for way in ways_to_fit(prepared, settings):
        keeps = values_of(way, [key for key in FIT_KEYS if getattr(settings, key) is not None])
        if keeps == values_of(prepared, tuple(keeps)) and way not in ways:
            ways.append(way)
    return tuple(ways)


def values_of(way: Preprocessor, keys: Sequence[str]) -> dict[str, str]:
    """What a config would say of it."""
    said = {"scale": way.scale_text, "loader": way.loader.name}
    return {key: said[key] if key in said else str(getattr(way, key)) for key in keys}


def differing(way: Preprocessor, other: Preprocessor, keys: Sequence[str]) -> dict[str, str]:
    """The values of a way that another one has not."""
    given = values_of(other, keys)
    return {key: value for key, value in values_of(way, keys).items() if value != given[key]}


def in_words(values: Mapping[str, str]) -> str:
    """`0-1, blue first`, by key of `model.preprocessing`."""
    keys = sorted(values, key=(*VALUE_KEYS, *FIT_KEYS).index)
    return ", ".join(_WORDS.get(values[key], values[key]) for key in keys)
