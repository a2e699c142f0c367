"""Regions outside the object by which a class is known: put in, they make it; taken away, it is lost.

For each region (16 cells, the frame, the whole background) every image gets that region of an image of another class.
Pixels of the object are never touched. The control takes the region from another image of the same class instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fruitaudit.diagnosis.gap.contrast import MaskedSplit
from fruitaudit.diagnosis.images.material import PixelClassifier
from fruitaudit.records.attacks import Shortcut
from fruitaudit.records.data import BoolArray, ByteArray, IntArray
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.intervals import share_of

GRID = 4
ENOUGH = 160
"""Images from which on one donor each is enough; of fewer, each gets two, one after the other."""
TELLS = 0.2
"""Smallest share of answers (lower end of its interval) that a region must turn to be called a shortcut."""
BACKGROUND = "background"
_SHOWN = 6
_MORE = 1.5
FRAME = 0.06
"""Width of the frame, in image sides."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Region:
    """`pixels` (H, W); `box` for a cell, None for the frame."""

    name: str
    pixels: BoolArray
    box: Box | None


@dataclass(frozen=True)
class _Swap:
    """Rows of `recipients` with a region of `donors`, and what the model then says; `usable` where no object is hit."""

    recipients: IntArray
    donors: IntArray
    called: IntArray


def find_shortcuts(
    eye: PixelClassifier, side: MaskedSplit, names: Sequence[str], streams: Streams
) -> Iterator[Shortcut]:
    """The shortcuts found, each class and region at most once; the strongest region of a class only."""
    found: dict[str, Shortcut] = {}
    for region in (*regions(side.material.pixels.shape[1:3]), None):
        for shortcut in _of_region(eye, side, region, names, streams):
            best = found.get(shortcut.class_name)
            # The whole background holds every cell: it is named only where it does more than one of them.
            if best is None or shortcut.flips.value > (best.flips.value if region else _MORE * best.flips.value):
                found[shortcut.class_name] = shortcut
    yield from sorted(found.values(), key=lambda s: -s.flips.value)


def regions(shape: tuple[int, int]) -> list[Region]:
    """16 cells and the frame."""
    height, width = shape
    tops, lefts = (np.linspace(0, n, GRID + 1).astype(int) for n in (height, width))
    found = []
    for r in range(GRID):
        for c in range(GRID):
            pixels = np.zeros(shape, bool)
            pixels[tops[r] : tops[r + 1], lefts[c] : lefts[c + 1]] = True
            box = (int(tops[r]), int(lefts[c]), int(tops[r + 1]), int(lefts[c + 1]))
            found.append(Region(f"row {r + 1}, column {c + 1} of {GRID}", pixels, box))
    frame = np.ones(shape, bool)
    y, x = max(1, round(FRAME * height)), max(1, round(FRAME * width))
    frame[y:-y, x:-x] = False
    return [*found, Region("frame", frame, None)]


def _of_region(
    eye: PixelClassifier, side: MaskedSplit, region: Region | None, names: Sequence[str], streams: Streams
) -> Iterator[Shortcut]:
    material, name = side.material, BACKGROUND if region is None else region.name
    other, own = (_swap(eye, side, region, foreign, streams) for foreign in (True, False))
    if not len(other.recipients) or not len(own.recipients):
        return
    for label in np.unique(material.labels):
        for told in (_inserted(side, other, own, int(label)), _removed(side, other, own, int(label))):
            if told is None:
                continue
            share = share_of(told.hits, _groups(side, told.recipients))
            usual = share_of(told.control, _groups(side, told.of_control))
            if (share.low or 0) < TELLS or (share.low or 0) <= (usual.high or 1):
                continue
            what = told.sentence.format(region=name, name=names[label], percent=f"{100 * share.value:.0f} %")
            yield Shortcut(
                region=name,
                split=material.split,
                class_name=names[label],
                flips=share,
                control=usual,
                box=region.box if region else None,
                sample_ids=tuple(material.ids[i] for i in told.recipients[told.hits][:_SHOWN]),
                sentence=f"{what} ({share.successes} of {share.n}; with the same region of another image of their own "
                f"class {usual.successes} of {usual.n} change).",
                kind="background" if region is None else "cell" if region.box else "frame",
            )


@dataclass(frozen=True)
class _RegionOutcome:
    """Which answers a region turned, of which `recipients`, and which the control turned, of `of_control`."""

    hits: BoolArray
    recipients: IntArray
    control: BoolArray
    of_control: IntArray
    sentence: str


def _groups(side: MaskedSplit, rows: IntArray) -> IntArray | None:
    return None if side.material.groups is None else side.material.groups[rows]


def _inserted(side: MaskedSplit, other: _Swap, own: _Swap, label: int) -> _RegionOutcome | None:
    """The class's region in images of other classes: do they become the class?"""
    labels, predicted = side.material.labels, side.material.predicted
    rows = (labels[other.donors] == label) & (predicted[other.recipients] != label)
    control = own.called != predicted[own.recipients]
    if not rows.any() or not len(control):
        return None
    sentence = "The {region} of {name}, put into images of other classes, turns {percent} of their answers into {name}"
    return _RegionOutcome(other.called[rows] == label, other.recipients[rows], control, own.recipients, sentence)


def _removed(side: MaskedSplit, other: _Swap, own: _Swap, label: int) -> _RegionOutcome | None:
    """Other classes' region in images of the class: are they still known?"""
    labels, predicted = side.material.labels, side.material.predicted
    rows, same = ((labels[s.recipients] == label) & (predicted[s.recipients] == label) for s in (other, own))
    if not rows.any() or not same.any():
        return None
    sentence = "With the {region} of other classes, {percent} of the images of {name} are no longer known"
    return _RegionOutcome(other.called[rows] != label, other.recipients[rows], own.called[same] != label,
                 own.recipients[same], sentence)  # fmt: skip


def _swap(eye: PixelClassifier, side: MaskedSplit, region: Region | None, other: bool, streams: Streams) -> _Swap:
    material = side.material
    free = side.sure if region is None else side.sure[~_hits(side, region)]
    recipients, donors = [], []
    for turn in range(1 if len(free) >= ENOUGH else 2):
        rng = streams.rng("shortcut", region.name if region else BACKGROUND, str(other), str(turn))
        for i in free:
            same = material.labels[free] == material.labels[i]
            pool = free[~same] if other else free[same & (free != i)]
            if len(pool):
                recipients.append(i)
                donors.append(rng.choice(pool))
    to, of = np.array(recipients, np.int64), np.array(donors, np.int64)
    if not len(to):
        return _Swap(to, of, to)
    if region is None:
        pixels = replace(side.cutouts[to], backgrounds=side.cutouts.backgrounds[of].astype(np.float32)).flat()
    else:
        pixels = _pasted(material.pixels, to, of, region)
    return _Swap(to, of, eye.predicted(pixels))


def _hits(side: MaskedSplit, region: Region) -> BoolArray:
    """(S,) of the sure images: whether the object reaches into the region by more than a twentieth of it."""
    return side.masks.values[side.sure][:, region.pixels].mean(axis=1) > 0.05


def _pasted(pixels: ByteArray, to: IntArray, of: IntArray, region: Region) -> ByteArray:
    return np.where(region.pixels[None, :, :, None], pixels[of], pixels[to])
