"""What one method shows of one image, as pictures: a map, superpixels, counterfactuals, neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from fruitaudit.records.data import ByteArray, FloatArray, IntArray
from fruitaudit.records.evidence import Counterfactual, Counterfactuals, Neighbours
from fruitaudit.records.explanations import Explanation, Maps, Segments
from fruitaudit.records.numbers import decimals
from fruitaudit.report.figures import Scale, draw_map, draw_pixels, empty_reason, palette_png, pixels_of
from fruitaudit.report.superpixels import Label, superpixel_views
from fruitaudit.report.words import chance, percent, significant

WEAK = 0.03
"""A map whose peak is below this share of the group's scale is called very weak."""
BOX = np.array([[0, 0, 0, 0], [255, 152, 0, 255]], dtype=np.uint8)


@dataclass(frozen=True)
class View:
    """One picture, or the reason why there is none.

    `backdrop` is what lies under it: "map" white, or the photograph where the reader asks for it; "photo" always the
    photograph; "picture" nothing, because it is a picture of its own.
    """

    src: str | None
    backdrop: str = "map"
    caption: str = ""
    reason: str = ""
    peak: str = ""
    """Its largest value, and the end of the group's scale."""
    at: float = 0.0
    """Where the largest value stands on the colour bar, 0..1."""
    weak: bool = False
    """Drawn, but too pale to see beside the others of its group."""
    labels: tuple[Label, ...] = ()
    lines: tuple[str, ...] = ()
    """What is said of it, below."""
    legend: bool = False
    """Whether colours mean for and against, which the caption must say."""


def maps_of(explanation: Explanation) -> FloatArray | None:
    """All maps (M, H, W) that one scale must fit; None where the explanation has none."""
    if isinstance(explanation, Maps):
        return np.concatenate([explanation.values, *explanation.parts.values()])
    if isinstance(explanation, Segments):
        return explanation.values
    if isinstance(explanation, Counterfactuals):
        changes = [part.change[part.found].sum(axis=-1) for part in explanation.parts if part.mode == "PN"]
        return np.concatenate(changes).astype(np.float32) if changes and sum(map(len, changes)) else None
    return None


def views_of(
    explanation: Explanation, index: int, scale: Scale | None, classes: Sequence[str], *, bgr: bool
) -> tuple[View, ...]:
    """The pictures of image `index`; `scale` is that of the whole group, `bgr` the order of the model's channels."""
    match explanation:
        case Maps():
            names = {name: _part_name(name, explanation, classes) for name in explanation.parts}
            part_views = [_map(part[index], scale, names[name]) for name, part in explanation.parts.items()]
            return _map(explanation.values[index], scale, "the explained class" if part_views else ""), *part_views
        case Segments():
            return _segments(explanation, index, scale)
        case Counterfactuals():
            parts = [_counterfactual(explanation, part, index, scale, classes, bgr=bgr) for part in explanation.parts]
            return tuple(view for views in parts for view in views)
        case Neighbours():
            return _neighbours(explanation, index, classes, bgr=bgr)
    return ()


def _map(values: FloatArray, scale: Scale | None, caption: str = "", labels: tuple[Label, ...] = ()) -> View:
    reason = empty_reason(values)
    if reason or scale is None:
        return View(None, caption=caption, reason=reason or "every map of this group is empty")
    top = float(values.flat[np.abs(values).argmax()])
    return View(
        src=draw_map(values, scale),
        caption=caption,
        peak=f"{significant(top)} of {significant(scale.end)}",
        at=scale.place(top),
        weak=abs(top) < WEAK * scale.end,
        labels=labels,
    )


def _part_name(part: str, explanation: Maps, classes: Sequence[str]) -> str:
    """The map of a class by the name of that class; other parts speak for themselves."""
    number = explanation.classes.get(part)
    return part if number is None else classes[number]


def _segments(explanation: Segments, index: int, scale: Scale | None) -> tuple[View, ...]:
    weights = _map(explanation.values[index], scale)
    if weights.src is None:
        return (weights,)
    superpixels = superpixel_views(explanation.segments[index], explanation.coefficients[index])
    caption = f"weights of {superpixels.n_selected} of {superpixels.n_segments} superpixels"
    return (
        View(superpixels.hidden, "photo", "what speaks for the class, the rest hidden"),
        View(superpixels.outlines, "photo", legend=True),
        _map(explanation.values[index], scale, caption, superpixels.labels),
    )


def _counterfactual(
    explanation: Counterfactuals, part: Counterfactual, index: int, scale: Scale | None, classes: Sequence[str],
    *, bgr: bool,
) -> tuple[View, ...]:  # fmt: skip
    negative = part.mode == "PN"
    name = "pertinent negative" if negative else "pertinent positive"
    if not part.found[index]:
        reason = (
            "no change that was tried turned the answer" if negative else "no part that was tried gave the answer alone"
        )
        return (View(None, "picture", name, reason=f"none found: {reason}"),)
    answer = f"{classes[part.classes[index]]}, {chance(float(part.probabilities[index]))}"
    lines = [f"now called {answer}" if negative else f"enough for {answer}"]
    if part.vacuous[index]:
        lines.append(f"says nothing: {part.vacuous[index]}")
    if np.isfinite(part.on_object[index]):
        lines.append(f"{percent(float(part.on_object[index]))} of the change lies on the object")
    src = draw_pixels(pixels_of(part.values[index], explanation.low, explanation.high, bgr=bgr))
    picture = View(src, "picture", name, lines=tuple(lines))
    if not negative:
        return (picture,)
    return picture, _map(part.change[index].sum(axis=-1), scale, "what was added")


def _neighbours(explanation: Neighbours, index: int, classes: Sequence[str], *, bgr: bool) -> tuple[View, ...]:
    views = []
    for k, values in enumerate(explanation.values[index]):
        pixels = pixels_of(values, explanation.low, explanation.high, bgr=bgr)
        box = explanation.boxes[index, k, 1]
        if box[0] >= 0:
            pixels = _boxed(pixels, box)
        caption = classes[explanation.labels[index, k]]
        lines = (f"distance {decimals(float(explanation.distances[index, k]), 2)}",)
        views.append(View(draw_pixels(pixels), "picture", caption, lines=lines))
    own_box = explanation.boxes[index, 0, 0]
    if own_box[0] >= 0:
        marks = Image.new("L", explanation.values.shape[-2:-4:-1])
        ImageDraw.Draw(marks).rectangle(_corners(own_box), outline=1, width=2)
        patch = View(palette_png(np.asarray(marks), BOX), "photo", "the patch that matches best")
        return patch, *views
    return tuple(views)


def _boxed(pixels: ByteArray, box: IntArray) -> ByteArray:
    image = Image.fromarray(np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels)
    ImageDraw.Draw(image).rectangle(_corners(box), outline=tuple(BOX[1, :3].tolist()), width=2)
    return np.asarray(image)


def _corners(box: IntArray) -> tuple[float, float, float, float]:
    """Top, left, bottom, right -> left, top, right, bottom, the last two within the box."""
    top, left, bottom, right = map(float, box)
    return left, top, right - 1, bottom - 1
