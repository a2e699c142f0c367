"""Which ways of preparing images the constants in a model file allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fruitaudit.config.scales import RANGES
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.inputs.ways import BLUE_FIRST, PixelMap, in_words, pixel_map, same_map, values_of
from fruitaudit.records.data import DoubleArray
from fruitaudit.records.inputs import Entrance

_RANGES = ((0, 1), (-1, 1), (-0.5, 0.5), (0, 255))
"""What black and white are to networks that are told nothing else of the pictures."""
_SPANS = (0.5, 20.0)
"""Between black and white, where values were normalized by a mean and a deviation of the training data."""


@dataclass(frozen=True)
class FileEvidence:
    """`allowed`: of the ways asked about, those that the file allows; all of them where it says nothing."""

    allowed: tuple[Preprocessor, ...]
    speaks: bool = False
    sentence: str = ""
    """What the file does to pixels; empty where it does nothing."""


def file_evidence(entrance: Entrance | None, ways: Sequence[Preprocessor]) -> FileEvidence:
    """A way is allowed where it and the file together give what networks are trained on.

    That is exactly a known range (0-1, -1-1, 0-255) or ImageNet's normalizations, where some way gives one. Else it is
    a range with zero in it and 0.5 to 20 between black and white, as a mean and a deviation leave it.
    """
    ways = tuple(ways)
    if entrance is None or not (entrance.changes or entrance.whole_numbers):
        return FileEvidence(ways)
    if entrance.whole_numbers:
        allowed = tuple(way for way in ways if _spans(pixel_map(way), 0, 255))
        sentence = "The model file declares its input as whole numbers: pixels from 0 to 255."
        return FileEvidence(allowed or ways, bool(allowed), sentence)
    maps = [_after(entrance, pixel_map(way)) for way in ways]
    exact = tuple(way for way, mapped in zip(ways, maps, strict=True) if _is_known(mapped, way))
    allowed = exact or tuple(way for way, mapped in zip(ways, maps, strict=True)
                             if way.scale in RANGES and _is_normalized(mapped))  # fmt: skip
    begins = f"The model file itself changes pixels before its first trained layer, {entrance.layer}"
    if not allowed:
        return FileEvidence(ways, False, f"{begins}, in a way that belongs to no known scale.")
    scales = " or ".join(dict.fromkeys(in_words(values_of(way, ("scale",))) for way in allowed))
    low, high = _ends(_after(entrance, pixel_map(allowed[0])))
    return FileEvidence(allowed, True, f"{begins}: of pixels on the scale {scales} it makes {low.min():.3g} to "
                                       f"{high.max():.3g}.")  # fmt: skip


def _after(entrance: Entrance, pixels: PixelMap) -> PixelMap:
    matrix, offset = pixels
    return entrance.matrix @ matrix, entrance.matrix @ offset + entrance.offset


def _ends(pixels: PixelMap) -> tuple[DoubleArray, DoubleArray]:
    """(D,) each: what black and white become, the smaller one first."""
    white = pixels[1] + pixels[0].sum(axis=1)
    return np.minimum(pixels[1], white), np.maximum(pixels[1], white)


def _spans(pixels: PixelMap, low: float, high: float) -> bool:
    ends = _ends(pixels)
    return all(np.allclose(end, to, atol=2e-3 * (high - low)) for end, to in zip(ends, (low, high), strict=True))


def _is_known(mapped: PixelMap, way: Preprocessor) -> bool:
    if any(_spans(mapped, *ends) for ends in _RANGES):
        return True
    if way.channels != 3:
        return False
    # Means and deviations of ImageNet belong to channels, so that an exchange of red and blue shows.
    imagenet = [replace(way, scale=scale, channel_order="rgb") for scale in ("densenet", BLUE_FIRST)]
    return any(same_map(mapped, pixel_map(known)) for known in imagenet)


def _is_normalized(mapped: PixelMap) -> bool:
    low, high = _ends(mapped)
    return all(a < 0 < b and _SPANS[0] < b - a < _SPANS[1] for a, b in zip(low, high, strict=True))
