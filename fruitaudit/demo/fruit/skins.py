"""The skins of the sixteen classes: colour, relief and gloss, painted from stem end to tip."""

from __future__ import annotations

import numpy as np

from fruitaudit.demo.fruit.material import Canvas, Colour, Skin, Surface, paint, step
from fruitaudit.demo.fruit.trimmings import TRIMMINGS
from fruitaudit.records.data import FloatArray

CALYX: Colour = (62, 50, 32)


def material_of(class_name: str, skin: str, canvas: Canvas) -> Surface:
    """The material of a part: the class's own skin, or wood, paper, calyx ... that several share."""
    return _SKINS[class_name](canvas) if skin == "skin" else TRIMMINGS[skin](canvas)


def _lenticels(c: Canvas, frequency: float, threshold: float) -> FloatArray:
    return step(threshold, threshold + 0.7, c.blobs(frequency, 5))


def _tuft(c: Canvas) -> FloatArray:
    """The dry flower in the dimple opposite to the stem."""
    return step(np.pi - 0.17, np.pi - 0.07, c.hit.along + 0.04 * c.blobs(1.2, 8))


def _hollow(c: Canvas, end: float = 0.0, width: float = 0.42, depth: float = 0.45) -> FloatArray:
    """Light that reaches the dimple at polar angle `end`."""
    return 1 - depth * np.exp(-(((c.hit.along - end) / width) ** 2))


def _apple_golden(c: Canvas) -> Surface:
    ripe = c.ripeness + 0.15 * c.quirks[4]
    albedo = paint(
        (234, 206, 70),
        ((190, 200, 70), 0.25 + 0.15 * c.clouds(0.3, 1) - 0.6 * ripe),
        ((170, 180, 70), 0.7 * step(0.6, 0.1, c.hit.along)),
        ((226, 120, 62), step(0.6, 3.0, c.haze(0.3, 2) + 1.2 * c.hit.body[0] + 1.4 * ripe) * 0.6),
        ((140, 104, 52), _lenticels(c, 1.5, 1.8) * 0.6),
        ((142, 108, 58), step(0.42, 0.12, c.hit.along + 0.1 * c.clouds(1.5, 3)) * 0.8),
        (CALYX, _tuft(c)),
    )
    return Surface(albedo, 0.0, 0.22, 22, shade=_hollow(c))


def _apple_granny(c: Canvas) -> Surface:
    albedo = paint(
        (112, 178, 40),
        ((150, 196, 62), 0.4 + 0.3 * c.clouds(0.4, 1) + 0.15 * c.quirks[4]),
        ((206, 204, 92), 0.9 * max(c.ripeness, 0) + 0 * c.up),
        ((70, 140, 34), 0.8 * max(-c.ripeness, 0) + 0 * c.up),
        ((214, 232, 158), _lenticels(c, 1.25, 1.5) * 0.75),
        ((160, 150, 80), step(0.32, 0.08, c.hit.along) * 0.8),
        (CALYX, _tuft(c)),
    )
    return Surface(albedo, 0.0, 0.5, 60, shade=_hollow(c))


def _apple_red(c: Canvas) -> Surface:
    stripes = c.streaks(1.1, 5.0, 1)
    albedo = paint(
        (172, 22, 30),
        ((208, 54, 40), 0.35 + 0.3 * c.clouds(0.5, 2)),
        ((112, 10, 24), step(0.2, 1.6, stripes) * 0.65),
        ((226, 148, 74), step(0.9, 2.6, -stripes - 0.9 * c.ripeness + 0.25 * c.quirks[4]) * 0.6),
        ((206, 186, 84), step(0.5, 2.2, c.haze(0.4, 4) - 2.2 * c.ripeness - 1.0) * 0.8),
        ((236, 190, 150), _lenticels(c, 1.6, 1.6) * 0.6),
        ((150, 116, 62), step(0.34, 0.12, c.hit.along + 0.06 * c.clouds(1.5, 3)) * 0.85),
        (CALYX, _tuft(c)),
    )
    return Surface(albedo, 0.0, 0.42, 45, shade=_hollow(c))


def _avocado(c: Canvas) -> Surface:
    pebbles = c.blobs(1.3, 1)
    albedo = paint(
        (60, 72, 38),
        ((38, 42, 28), 0.45 + 0.3 * c.clouds(0.6, 2) + 0.9 * c.ripeness),
        ((50, 36, 38), 1.2 * c.ripeness + 0 * c.up),
        ((84, 116, 46), -1.1 * c.ripeness + 0 * c.up),
        ((110, 124, 62), step(0.6, 2.2, pebbles) * 0.6),
        ((20, 24, 16), step(0.4, 2.0, -pebbles) * 0.55),
        ((116, 98, 62), step(1.6, 2.4, c.clouds(1.0, 4)) * 0.6),
    )
    return Surface(albedo, 0.016 * pebbles, 0.22, 18)


def _banana(c: Canvas) -> Surface:
    s, ripe = c.hit.along, c.ripeness
    ridges = np.cos(5 * c.hit.around + 0.6)
    ends = np.maximum(step(0.2, 0.03, s), step(0.78, 0.93, s))
    freckles = step(1.5 - 1.3 * max(ripe, 0), 2.3 - 0.9 * max(ripe, 0), c.blobs(1.1, 2) + 0.5 * c.clouds(1.0, 3))
    albedo = paint(
        (250, 214, 56),
        ((240, 190, 44), 0.3 + 0.3 * c.clouds(0.6, 1)),
        ((164, 178, 50), ends * 0.55 + 0.12 * c.quirks[4] - 1.5 * min(ripe, 0) * 0.6),
        ((214, 160, 44), step(0.75, 1.0, ridges) * 0.45),
        ((110, 70, 28), freckles * (0.25 + 0.65 * max(ripe, 0))),
        ((96, 68, 40), step(1.2, 2.4, c.clouds(1.1, 4) + 0.8 * ripe) * 0.6),
        ((58, 42, 28), step(0.05, 0.02, s) + step(0.965, 0.985, s)),
    )
    return Surface(albedo, 0.022 * ridges, 0.22, 16)


def _citrus(base: Colour, light: Colour, blush: Colour, pore: float, fineness: float, gloss: float) -> Skin:
    """Oil glands as pits; green where unripe, `blush` in blotches."""

    def skin(c: Canvas) -> Surface:
        pits = step(0.8, 2.0, c.blobs(fineness, 1))
        albedo = paint(
            base,
            (light, 0.35 + 0.3 * c.clouds(0.35, 2) + 0.15 * c.quirks[4]),
            (blush, step(-0.8, 2.2, c.haze(0.3, 3) + 0.3 * c.quirks[5] + 0.9 * c.ripeness) * 0.8),
            ((116, 150, 48), step(0.0, 2.2, c.haze(0.3, 4) - 3.2 * c.ripeness - 2.4) * 0.9),
            ((150, 96, 44), step(2.3, 3.0, c.clouds(1.1, 6) + 0.9 * c.ripeness) * 0.5),
            (tuple(int(0.72 * v) for v in base), pits * 0.4),
        )
        return Surface(albedo, -pore * pits, gloss, 26, shade=_hollow(c, depth=0.3, width=0.3))

    return skin


def _mango(c: Canvas) -> Surface:
    side = c.hit.body[0] * 0.75 + c.up * 0.55 + 0.2 * c.haze(0.4, 1) + 0.05 * c.clouds(0.6, 2) + 0.1 * c.quirks[4]
    red = side + 1.5 * min(c.ripeness, 0) + 0.35 * max(c.ripeness, 0)
    albedo = paint(
        (118, 138, 44),
        ((222, 164, 46), step(-0.9, -0.2, side + 0.6 * c.ripeness)),
        ((214, 62, 42), step(-0.5, 0.25, red)),
        ((160, 30, 48), step(0.2, 1.0, red) * 0.8),
        ((240, 214, 140), _lenticels(c, 1.7, 1.5) * 0.7),
        ((66, 46, 28), step(1.9, 2.6, c.clouds(1.3, 6) + 0.9 * max(c.ripeness, 0)) * 0.8),
    )
    return Surface(albedo, 0.0, 0.32, 28)


def _nectarine(c: Canvas) -> Surface:
    blush = (
        0.7 * c.haze(0.4, 1)
        + 0.18 * c.clouds(0.7, 3)
        + 0.15 * c.streaks(1.1, 5.0, 2)
        + 0.9 * c.hit.body[0]
        + 0.2 * c.quirks[4]
        + 0.3
    )
    red = blush + 0.7 * c.ripeness
    albedo = paint(
        (240, 176, 52),
        ((232, 110, 36), step(-1.6, -0.3, red)),
        ((190, 30, 34), step(-0.9, 0.5, red) * 0.95),
        ((106, 12, 36), step(0.3, 1.9, red) * 0.9),
        ((246, 200, 120), _lenticels(c, 2.0, 1.9) * 0.45),
    )
    return Surface(albedo, 0.0, 0.5, 55, shade=_hollow(c, depth=0.55))


def _peach(c: Canvas) -> Surface:
    blush = (
        0.8 * c.haze(0.4, 1)
        + 0.1 * c.clouds(0.7, 3)
        + 0.9 * c.hit.body[0]
        + 0.12 * c.streaks(1.0, 4.0, 2)
        + 0.2 * c.quirks[4]
    )
    albedo = paint(
        (248, 184, 92),
        ((244, 140, 70), step(-1.2, 0.4, blush + 0.5 * c.ripeness)),
        ((214, 74, 62), step(-0.5, 1.4, blush + 0.8 * c.ripeness) * 0.85),
        ((150, 34, 52), step(0.8, 2.4, blush + 0.8 * c.ripeness) * 0.75),
        ((190, 200, 110), -0.8 * min(c.ripeness, 0) * step(0.6, -0.6, blush)),
    )
    albedo = albedo * (1 + 0.03 * c.blobs(2.6, 3))[:, None]
    return Surface(albedo, 0.0, 0.03, 6, fuzz=0.55, shade=_hollow(c, depth=0.6))


def _onion(base: Colour, dark: Colour, pale: Colour, veins: float) -> Skin:
    """Papery: meridian veins, paler shoulders, flakes of lost skin, satin gloss."""

    def skin(c: Canvas) -> Surface:
        lines = c.streaks(2.2, 9.0, 1)
        neck = step(0.8, 1.15, c.up)
        flakes = step(1.3, 1.7, c.clouds(0.6, 3) + 0.3 * c.quirks[5])
        albedo = paint(
            base,
            (dark, 0.35 + 0.3 * c.clouds(0.5, 2) + 0.2 * c.quirks[4] + 0.4 * c.ripeness),
            (pale, step(0.9, 1.9, c.streaks(1.2, 6.0, 4)) * 0.6 - 0.5 * min(c.ripeness, 0)),
            (dark, step(0.3, 1.7, lines) * veins),
            (pale, step(0.5, 1.9, -lines) * veins * 0.8),
            (pale, flakes * 0.5),
            ((186, 140, 84), neck * 0.85),
            ((150, 112, 66), step(-0.7, -0.86, c.up) * 0.7),
        )
        return Surface(albedo, 0.006 * lines, 0.3, 20)

    return skin


def _pear(c: Canvas) -> Surface:
    ripe = c.ripeness + 0.15 * c.quirks[4]
    albedo = paint(
        (182, 192, 78),
        ((206, 204, 96), 0.4 + 0.3 * c.clouds(0.4, 1)),
        ((228, 196, 78), 1.1 * ripe + 0 * c.up),
        ((128, 160, 58), -1.0 * ripe + 0 * c.up),
        ((204, 120, 66), step(0.8, 2.8, c.haze(0.4, 2) + 0.7 * c.hit.body[0] + 0.6 * ripe) * 0.55),
        ((116, 106, 44), _lenticels(c, 1.9, 1.2) * 0.65),
        (CALYX, _tuft(c)),
        ((148, 112, 60), step(0.86, 1.2, c.up + 0.12 * c.clouds(1.2, 3)) * 0.6),
        ((140, 104, 58), step(1.6, 2.8, c.clouds(0.7, 4) + 0.7 * ripe) * 0.6),
    )
    return Surface(albedo, 0.0, 0.2, 18, shade=_hollow(c, np.pi, 0.25))


def _pomegranate(c: Canvas) -> Surface:
    mottle = c.clouds(0.55, 1) + 0.6 * c.quirks[4] * 0.3
    albedo = paint(
        (182, 38, 52),
        ((210, 84, 78), step(-0.4, 2.2, mottle)),
        ((226, 168, 104), step(0.7, 2.0, c.haze(0.5, 2) - 1.3 * c.ripeness) * 0.7),
        ((132, 18, 44), step(0.2, 2.4, -mottle) * 0.7),
        ((122, 82, 56), step(1.4, 2.2, c.clouds(1.2, 3) + 0.6 * max(c.ripeness, 0)) * 0.7),
        ((236, 180, 150), _lenticels(c, 2.2, 1.7) * 0.4),
    )
    return Surface(albedo, 0.007 * c.clouds(0.5, 4) + 0.002 * c.blobs(2.2, 5), 0.3, 22)


def _tomato(c: Canvas) -> Surface:
    ripe = c.ripeness + 0.1 * c.quirks[4]
    albedo = paint(
        (204, 32, 20),
        ((226, 62, 26), 0.35 + 0.25 * c.clouds(0.4, 1)),
        ((232, 130, 36), step(0.55, 0.2, c.hit.along) * 0.5 - 1.0 * min(ripe, 0)),
        ((140, 160, 52), step(0.0, 1.8, c.haze(0.4, 2) - 3.0 * ripe - 1.6 - 0.6 * c.hit.along)),
        ((150, 14, 16), 0.8 * max(ripe, 0) + 0 * c.up),
    )
    return Surface(albedo, 0.0, 0.62, 75, shade=_hollow(c, width=0.5, depth=0.4))


_SKINS: dict[str, Skin] = {
    "Apple Golden": _apple_golden,
    "Apple Granny Smith": _apple_granny,
    "Apple Red": _apple_red,
    "Avocado": _avocado,
    "Banana": _banana,
    "Clementine": _citrus((240, 128, 16), (250, 158, 36), (226, 96, 14), 0.006, 2.4, 0.4),
    "Grapefruit Pink": _citrus((244, 188, 74), (250, 206, 104), (236, 128, 84), 0.006, 2.1, 0.3),
    "Mango Red": _mango,
    "Nectarine": _nectarine,
    "Onion Red": _onion((128, 36, 70), (82, 16, 48), (178, 96, 122), 0.55),
    "Onion White": _onion((222, 184, 124), (186, 132, 70), (244, 226, 188), 0.5),
    "Orange": _citrus((246, 152, 22), (252, 178, 48), (238, 124, 18), 0.016, 1.7, 0.32),
    "Peach": _peach,
    "Pear": _pear,
    "Pomegranate": _pomegranate,
    "Tomato": _tomato,
}
