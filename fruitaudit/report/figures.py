"""Maps -> pictures: the one place where attribution values are scaled and coloured.

A map becomes a palette PNG whose opacity grows with |value|: on white it shows the colour map exactly, on the
photograph it is the overlay, so one picture serves both. All maps of a method in a group share one scale. A map that is
zero everywhere or not finite becomes no picture at all: `empty_reason` says so in words.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fruitaudit.records.data import ByteArray, FloatArray
from fruitaudit.report.words import significant

LEVELS = 32
"""Shades from zero to the end of the scale: more are not seen apart, and noisy maps would fill the mail."""
MAX_SIDE = 112
"""Maps with a longer side are averaged down to it: the raw ones lie in attributions/."""
LOSSLESS_SIDE = 64
LEAST_PROBABILITY = 0.01
"""A change of probability that fills the colour bar at the least."""
HEAVY_TAIL = 0.25
"""Where 99 % of all values lie below this share of the scale, colour follows their square root, and the bar says so."""

SEQUENTIAL = ("#ffffff", "#ffdf8e", "#fb8d3d", "#d7263d", "#6a0f49")
NEGATIVE = ("#ffffff", "#a9c9ee", "#4a86cf", "#12478f")
POSITIVE = ("#ffffff", "#f6b8a4", "#dd5a45", "#8f1022")


@dataclass(frozen=True)
class Scale:
    """How values of one method become colours across a group: |value| = `end` has the strongest colour."""

    end: float
    signed: bool
    root: bool

    def strength(self, values: FloatArray) -> FloatArray:
        """Values as -1..1 (signed) or 0..1, on the printed scale."""
        share = np.clip(values / self.end, -1.0 if self.signed else 0.0, 1.0)
        return (np.sign(share) * np.sqrt(np.abs(share)) if self.root else share).astype(np.float32)

    def ticks(self) -> list[tuple[float, str]]:
        """(place on the colour bar 0..1, printed value)."""
        ends = (
            (-self.end, 0.0, self.end) if self.signed else (0.0, self.end / 4 if self.root else self.end / 2, self.end)
        )
        return [(self.place(value), significant(value)) for value in ends]

    def place(self, value: float) -> float:
        """Where a value stands on the colour bar, 0..1."""
        strength = float(self.strength(np.array(value, dtype=np.float32)))
        return (strength + 1) / 2 if self.signed else strength


def scale_of(maps: FloatArray, end: float, *, signed: bool, probability: bool = False) -> Scale:
    """The scale of a group's maps (N, H, W); `end` is the row's printed one, > 0.

    Maps of a `probability` are drawn on at least 0..0.01: where hiding any part of the image moves the probability by
    less than one point, nothing may look like evidence.
    """
    if probability and end < LEAST_PROBABILITY:
        return Scale(LEAST_PROBABILITY, signed, root=False)
    finite = np.abs(maps[np.isfinite(maps).all(axis=(1, 2))])
    root = bool(finite.size) and float(np.percentile(finite, 99)) < HEAVY_TAIL * end
    return Scale(end, signed, root)


def empty_reason(values: FloatArray) -> str | None:
    """Why a map (H, W) shows no evidence, or None where it does."""
    if not np.isfinite(values).all():
        return "the method returned values that are not finite"
    return None if values.any() else "the map is zero everywhere"


def draw_map(values: FloatArray, scale: Scale, *, shrunk: bool = True) -> str:
    """The map (H, W) as the data URI of a palette PNG; transparent at 0. Draw no empty map."""
    strength = scale.strength(shrink(values) if shrunk else values)
    centre = LEVELS - 1 if scale.signed else 0
    indices = np.rint(strength * (LEVELS - 1)).astype(np.int64) + centre
    return palette_png(indices.astype(np.uint8), palette(signed=scale.signed))


def shrink(values: FloatArray) -> FloatArray:
    """The map averaged down to at most MAX_SIDE a side, proportions kept."""
    height, width = values.shape
    factor = MAX_SIDE / max(height, width)
    if factor >= 1:
        return values
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BOX))


@cache
def palette(*, signed: bool) -> ByteArray:
    """RGBA colours (levels, 4): from zero up, or from the most negative to the most positive value."""
    if not signed:
        return to_alpha(ramp(SEQUENTIAL))
    return to_alpha(np.concatenate([ramp(NEGATIVE)[:0:-1], ramp(POSITIVE)]))


def ramp(anchors: tuple[str, ...], levels: int = LEVELS) -> ByteArray:
    """Colours (levels, 3) through the anchors in OKLab, with evenly falling lightness: equal steps look equal."""
    lab = _to_oklab(np.array([[int(a[i : i + 2], 16) for i in (1, 3, 5)] for a in anchors]) / 255)
    along = (lab[0, 0] - lab[:, 0]) / (lab[0, 0] - lab[-1, 0])
    at = np.linspace(0, 1, levels)
    rgb = _from_oklab(np.stack([np.interp(at, along, lab[:, i]) for i in range(3)], axis=1))
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def to_alpha(colours: ByteArray) -> ByteArray:
    """The most transparent RGBA (levels, 4) that looks like `colours` when it lies on white."""
    distance = 255.0 - colours
    alpha = distance.max(axis=1, keepdims=True)
    pure = 255 - distance * 255 / np.maximum(alpha, 1)
    return np.rint(np.concatenate([pure, alpha], axis=1)).astype(np.uint8)


def colour_bar(*, signed: bool) -> str:
    """The palette as a CSS gradient, for the colour bar."""
    colours = np.concatenate([ramp(NEGATIVE, 9)[:0:-1], ramp(POSITIVE, 9)]) if signed else ramp(SEQUENTIAL, 13)
    return "linear-gradient(90deg," + ",".join("#" + bytes(c).hex() for c in colours) + ")"


def palette_png(indices: ByteArray, colours: ByteArray) -> str:
    """Data URI of a PNG in mode P: `indices` (H, W) into RGBA `colours`."""
    image = Image.fromarray(indices, mode="P")
    image.putpalette(colours[:, :3].tobytes())
    buffer = BytesIO()
    # Strategy "filtered" at level 6 is smaller than level 9 on noisy maps, in a third of the time.
    image.save(buffer, "PNG", transparency=colours[:, 3].tobytes(), compress_level=6, compress_type=1)
    return data_uri(buffer.getvalue(), "png")


def pixels_of(values: FloatArray, low: FloatArray, high: FloatArray, *, bgr: bool = False) -> ByteArray:
    """Model inputs (..., C) -> uint8 RGB or grey (..., C), as a person would see them."""
    unit = np.clip((values - low) / (high - low), 0, 1)
    pixels = np.rint(np.nan_to_num(unit) * 255).astype(np.uint8)
    return pixels[..., ::-1] if bgr else pixels


def draw_pixels(pixels: ByteArray) -> str:
    """A picture (H, W, 1 or 3) as a data URI: small ones exactly, larger ones compressed for the mail."""
    return _encoded(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def photograph(path: Path, side: int) -> str | None:
    """A photograph at most `side` pixels a side as a data URI, None where the file is missing or unreadable.

    Drawings as small as LOSSLESS_SIDE stay as they are; larger ones are compressed for the mail.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGB")
    except Exception:  # broken files make Pillow raise anything
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _encoded(image)


def _encoded(image: Image.Image) -> str:
    buffer = BytesIO()
    if max(image.size) <= LOSSLESS_SIDE:
        image.save(buffer, "PNG", optimize=True)
        return data_uri(buffer.getvalue(), "png")
    image.save(buffer, "WEBP", quality=80, method=2)
    return data_uri(buffer.getvalue(), "webp")


def data_uri(content: bytes, kind: str) -> str:
    """The bytes of a picture, as HTML embeds them."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                 [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                 [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def _to_oklab(srgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """sRGB 0..1 to OKLab (Ottosson 2020)."""
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _LMS.T) @ _LAB.T


def _from_oklab(lab: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    linear = np.clip((lab @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_LMS).T, 0, None)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
