"""What is not skin: stems, buttons, calyxes, crowns, dry paper and roots."""

from __future__ import annotations

from fruitaudit.demo.fruit.material import Canvas, Skin, Surface, paint, step


def _wood(c: Canvas) -> Surface:
    return Surface(paint((104, 76, 48), ((66, 48, 32), 0.4 + 0.3 * c.clouds(1.5, 1))), 0.0, 0.06, 10)


def _button(c: Canvas) -> Surface:
    return Surface(paint((120, 132, 62), ((86, 84, 44), 0.4 + 0.4 * c.clouds(1.5, 1))), 0.0, 0.05, 10)


def _calyx(c: Canvas) -> Surface:
    return Surface(paint((66, 124, 40), ((104, 156, 58), 0.4 + 0.3 * c.clouds(1.5, 1))), 0.0, 0.1, 12)


def _paper(c: Canvas) -> Surface:
    return Surface(paint((206, 164, 108), ((140, 96, 58), 0.4 + 0.4 * c.clouds(1.6, 1))), 0.0, 0.1, 12)


def _roots(c: Canvas) -> Surface:
    return Surface(paint((190, 164, 124), ((120, 96, 66), 0.4 + 0.4 * c.clouds(1.6, 1))), 0.0, 0.03, 8)


def _crown(c: Canvas) -> Surface:
    albedo = paint(
        (190, 66, 58), ((226, 130, 84), 0.35 + 0.3 * c.clouds(0.9, 1)), ((120, 50, 40), step(0.75, 1.0, c.hit.along))
    )
    return Surface(albedo, 0.0, 0.2, 18)


TRIMMINGS: dict[str, Skin] = {
    "wood": _wood,
    "button": _button,
    "calyx": _calyx,
    "paper": _paper,
    "roots": _roots,
    "crown": _crown,
}
