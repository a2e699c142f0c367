"""Size and place of the object, several objects, and what lies behind: measured on masks, then done to lab images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.factors.colour import NO_DIFFERENCE, ColourShift
from fruitaudit.diagnosis.gap.change import Change
from fruitaudit.diagnosis.gap.contrast import Contrast, Side, Values, class_medians, excess_spread
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import ByteArray, FloatArray, IntArray
from fruitaudit.records.states import NotRun

_LEAST_SCALE = 0.15
"""Smallest |log| of the size ratio worth a change."""
_LEAST_OFFSET = 0.04
"""Smallest excess deviation of the object's place, in image sides, worth a change."""
_LEAST_EXTRA = 0.7
"""Smallest mean number of further objects worth a change."""
_BLUR = 0.12
"""Blur of a field photo that serves as background although nothing could be cut out of it, in image sides."""
PILE = 99


@dataclass(frozen=True)
class Layout:
    """Of each image's object (N,).

    `side` is the diameter of the largest circle within one part of it, in image sides; `centre` (N, 2) is in image
    sides from the middle; `count` is the number of parts, told apart by gaps and by edges.
    """

    side: Values
    centre: Values
    count: Values


def layout_of(side: Side) -> Layout:
    """NaN where the mask is not sure."""
    n = len(side.material)
    sides, centres, counts = np.full(n, np.nan), np.full((n, 2), np.nan), np.full(n, np.nan)
    for i in side.sure:
        mask = side.masks.values[i]
        radius, counts[i] = _parts(side.material.pixels[i], mask)
        sides[i] = 2 * radius / np.sqrt(mask.size)
        y, x = np.nonzero(mask)
        centres[i] = x.mean() / mask.shape[1] - 0.5, y.mean() / mask.shape[0] - 0.5
    return Layout(sides, centres, counts)


def _parts(image: ByteArray, mask: npt.NDArray[np.bool_]) -> tuple[float, int]:
    """Radius of the largest part in pixels, and how many parts are at least half as wide.

    Edges are looked for at the object's own brightness, so that a dark photo does not join what a bright one parts.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    level = np.clip(grey * (128 / max(float(grey[mask].mean()), 8)), 0, 255).astype(np.uint8)
    edges = cv2.Canny(cv2.GaussianBlur(level, (0, 0), 1.0), 50, 130) > 0
    depth = cv2.distanceTransform(np.pad(mask & ~edges, 1).astype(np.uint8), cv2.DIST_L2, 3)
    radius = float(depth.max())
    number, _ = cv2.connectedComponents((depth >= 0.5 * radius).astype(np.uint8), connectivity=8)
    if number <= 2:  # one part: its edges are texture
        radius = float(cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
    # The distance to the next pixel's centre is half a pixel more than that to the outline.
    return max(radius - 0.5, 0.5), number - 1


def measure_scale(contrast: Contrast, lab: Layout, field: Layout) -> Change | NotRun:
    """Each object resized by the ratio of the class medians and moved as far off the middle as its partner."""
    classes = np.intersect1d(contrast.lab.material.labels, contrast.field.material.labels)
    ours, theirs = (np.log(layout.side) for layout in (lab, field))
    ratio = np.nanmedian(
        class_medians(theirs, contrast.field.material.labels, classes)
        - class_medians(ours, contrast.lab.material.labels, classes)
    )
    about = theirs - np.nanmedian(theirs)
    own = np.nan_to_num(about[contrast.partner]) * excess_spread(ours - np.nanmedian(ours), about)
    offset_excess = [excess_spread(lab.centre[:, k], field.centre[:, k]) for k in range(2)]
    offsets = np.nan_to_num(field.centre[contrast.partner]) * offset_excess
    if abs(ratio) < _LEAST_SCALE and own.std() < _LEAST_SCALE and offsets.std() < _LEAST_OFFSET:
        return NotRun(NO_DIFFERENCE.format("objects are as large and lie as central"))
    scales = np.exp(np.clip(ratio + own, np.log(0.15), np.log(3.0)))
    low, high = np.quantile(scales, [0.1, 0.9])
    sizes = " to ".join(dict.fromkeys(f"{scale:.2f}" for scale in (low, high)))
    dose = f"objects at {sizes} of their size, up to {np.abs(offsets).max():.2f} image sides off the middle"
    return scale_change(scales, offsets, dose)


def scale_change(scales: Values, offsets: Values, dose: str, notes: tuple[str, ...] = ()) -> Change:
    """`scales` (N,), `offsets` (N, 2) in image sides, of each lab image."""

    def apply(layers: Layers, rows: IntArray) -> Layers:
        moved = [_placed(layers.objects[k], layers.alpha[k], float(scales[i]), offsets[i]) for k, i in enumerate(rows)]
        objects, alpha = (np.stack(part) for part in zip(*moved, strict=True))
        return replace(layers, objects=objects, alpha=alpha)

    return Change("scale", "Size and place of the object", dose, apply, notes)


def _placed(
    image: FloatArray, alpha: FloatArray, scale: float, offset: npt.NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    height, width = alpha.shape
    total = max(float(alpha.sum()), 1e-6)
    x = float((alpha.sum(axis=0) @ np.arange(width)) / total)
    y = float((alpha.sum(axis=1) @ np.arange(height)) / total)
    to_x, to_y = x + offset[0] * width, y + offset[1] * height
    matrix = np.array([[scale, 0, to_x - scale * x], [0, scale, to_y - scale * y]])
    if scale < 0.7:  # averaging first: a warp that shrinks would skip pixels
        sigma = 0.29 / scale
        image, alpha = (
            cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for part in (image, alpha)
        )
    size = (width, height)
    return (
        cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0),
    )


def measure_several(contrast: Contrast, lab: Layout, field: Layout) -> Change | NotRun:
    """As many further copies of the object as its partner shows beyond what the class shows in the lab."""
    classes = np.unique(contrast.lab.material.labels)
    usual = dict(zip(classes.tolist(), class_medians(lab.count, contrast.lab.material.labels, classes), strict=True))
    expected = np.array([usual[int(label)] for label in contrast.lab.material.labels])
    extra = np.nan_to_num(np.maximum(field.count[contrast.partner] - expected, 0)).astype(np.int64)
    # Texture parts an object too, now and then: only what the lab does not show counts.
    by_texture = np.nanmean(np.maximum(lab.count - expected, 0))
    if extra.mean() - by_texture < _LEAST_EXTRA:
        return NotRun(NO_DIFFERENCE.format("pictures show no more objects"))
    dose = f"{extra.mean():.1f} further copies of the object on average, at most {extra.max()}"
    return several_change(contrast, extra, dose)


def several_change(contrast: Contrast, extra: IntArray, dose: str, notes: tuple[str, ...] = ()) -> Change:
    """`extra` (N,) further copies; `PILE` fills the picture."""
    material = contrast.lab.material
    rngs = [contrast.streams.rng("several objects", sample_id) for sample_id in material.ids]
    places = np.array([rng.uniform(0, 1, (8, 2)) for rng in rngs])

    def apply(layers: Layers, rows: IntArray) -> Layers:
        done = [_repeated(layers.objects[k], layers.alpha[k], int(extra[i]), places[i]) for k, i in enumerate(rows)]
        objects, alpha = (np.stack(part) for part in zip(*done, strict=True))
        return replace(layers, objects=objects, alpha=alpha)

    return Change("several", "Several objects", dose, apply, notes)


def _repeated(image: FloatArray, alpha: FloatArray, extra: int, places: Values) -> tuple[FloatArray, FloatArray]:
    if extra == 0:
        return image, alpha
    rows, columns = (np.flatnonzero(alpha.max(axis=axis) > 0.5) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return image, alpha
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    if extra >= PILE:
        return _tiled(image[box], alpha[box], alpha.shape, places[0])
    height, width = alpha.shape
    centre = np.array([rows.mean() / height, columns.mean() / width])
    covered = alpha
    # Of eight places, again and again the one that is farthest from what is there already.
    free = np.linalg.norm(places - centre, axis=1)
    for _ in range(min(extra, len(places))):  # further ones would lie on these
        place = places[int(np.argmax(free))]
        free = np.minimum(free, np.linalg.norm(places - place, axis=1))
        shift = np.array([[1, 0, (place[1] - centre[1]) * width], [0, 1, (place[0] - centre[0]) * height]])
        beside = cv2.warpAffine(alpha, shift, (width, height), borderValue=0)
        colours = cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        under = beside * (1 - covered)
        image = cv2.blendLinear(image, colours, covered, under)
        covered = covered + under
    return image, np.minimum(covered, 1)


def _tiled(
    image: FloatArray, alpha: FloatArray, shape: tuple[int, int], place: Values
) -> tuple[FloatArray, FloatArray]:
    """The object's box repeated in rows, every other one shifted by half a box, from a random beginning."""
    h, w = alpha.shape
    across = shape[1] // w + 3
    colours, covers = [], []
    for row in range(shape[0] // h + 2):
        shift = (row % 2) * (w // 2)
        colours.append(np.roll(np.tile(image, (1, across, 1)), shift, axis=1))
        covers.append(np.roll(np.tile(alpha, (1, across)), shift, axis=1))
    top, left = int(place[0] * h), int(place[1] * w)
    window = slice(top, top + shape[0]), slice(left, left + shape[1])
    return np.concatenate(colours)[window], np.concatenate(covers)[window]


def measure_background(contrast: Contrast, shift: ColourShift) -> Change | NotRun:
    """The partner's background behind the lab's object, with the field's light taken out of it (`light` puts it in)."""
    if not contrast.lab.separable:
        return NotRun(
            f"no background can be put behind the lab's objects: {contrast.lab.masks.text}; add masks to the data"
        )
    notes: tuple[str, ...] = ()
    field, gain = contrast.field, np.exp(shift.behind).astype(np.float32)
    if field.separable:
        behind, what = field.cutouts.backgrounds, "field backgrounds, objects removed"
        partner = contrast.partner
    else:
        behind = np.stack([cv2.GaussianBlur(p, (0, 0), _BLUR * contrast.side)
                           for p in field.material.pixels])  # fmt: skip
        what = "whole field photos, blurred"
        notes = (f"{field.masks.text} in {field.material.split}: only the coarse colours of its backgrounds are used",)
        partner = contrast.streams.rng("any background").integers(0, len(behind), len(contrast.lab.material))
    behind = np.clip(np.rint(behind / np.maximum(gain, 0.05)), 0, 255).astype(np.uint8)
    if _alike(contrast.lab.cutouts.backgrounds[contrast.lab.sure], behind[partner]):
        return NotRun(NO_DIFFERENCE.format("backgrounds have the lab's colours and texture"))

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return replace(layers, backgrounds=behind[partner[rows]].astype(np.float32))

    return Change("background", "Background", what, apply, notes)


def _alike(ours: ByteArray, theirs: ByteArray) -> bool:
    """Whether typical backgrounds differ by less than 10 of 255, in mean colour and in texture."""
    means = [b.mean(axis=(1, 2)) for b in (ours, theirs)]
    spreads = [b.std(axis=(1, 2)).mean(axis=1) for b in (ours, theirs)]
    apart = np.linalg.norm(np.median(means[0], axis=0) - means[1], axis=1)
    return bool(np.median(apart) < 10 * np.sqrt(3) and abs(np.median(spreads[0]) - np.median(spreads[1])) < 10)
