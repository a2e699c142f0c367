"""Regions outside the object that give a class away: put into images of other classes, they turn the answer.

For each region (16 cells, the frame, the whole background) every image gets that region of an image of another class.
Pixels of the object are never touched. The control takes the region from another image of the same class instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fruitaudit.diagnosis.contrast import Side
from fruitaudit.diagnosis.layers import Layers
from fruitaudit.diagnosis.material import Eye
from fruitaudit.evaluation.intervals import wilson
from fruitaudit.records.data import ByteArray, IntArray
from fruitaudit.records.diagnosis import Shortcut
from fruitaudit.runtime import Streams

GRID = 4
ROUNDS = 2
"""Donors of another class that each image gets, one after the other."""
TELLS = 0.3
"""Smallest share of answers (lower end of its interval) that a region must turn to be called a shortcut."""
BACKGROUND = "background"
_SHOWN = 6
_FRAME = 0.06

Flags = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Region:
    """`pixels` (H, W); `box` for a cell, None for the frame."""

    name: str
    pixels: Flags
    box: Box | None


@dataclass(frozen=True)
class _Swap:
    """Rows of `recipients` with a region of `donors`, and what the model then says; `usable` where no object is hit."""

    recipients: IntArray
    donors: IntArray
    called: IntArray


def find_shortcuts(eye: Eye, side: Side, names: Sequence[str], streams: Streams) -> Iterator[Shortcut]:
    """The shortcuts found, each class and region at most once; the strongest region of a class only."""
    found: dict[str, Shortcut] = {}
    layers = side.layers()
    for region in (*regions(side.material.pixels.shape[1:3]), None):
        for shortcut in _of_region(eye, side, layers, region, names, streams):
            best = found.get(shortcut.class_name)
            if best is None or shortcut.flips.value > best.flips.value:
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
    y, x = max(1, round(_FRAME * height)), max(1, round(_FRAME * width))
    frame[y:-y, x:-x] = False
    return [*found, Region("frame", frame, None)]


def _of_region(
    eye: Eye, side: Side, layers: Layers, region: Region | None, names: Sequence[str], streams: Streams
) -> Iterator[Shortcut]:
    material, name = side.material, BACKGROUND if region is None else region.name
    swaps = [_swap(eye, side, layers, region, other, streams) for other in (True, False)]
    if not all(len(s.recipients) for s in swaps):
        return
    for label in np.unique(material.labels):
        told = [_turned(material.predicted, material.labels, s, int(label), s is swaps[0]) for s in swaps]
        (flips, rows), (control, _) = told
        if not len(flips) or not len(control):
            continue
        share, usual = wilson(int(flips.sum()), len(flips)), wilson(int(control.sum()), len(control))
        if (share.low or 0) < TELLS or (share.low or 0) <= (usual.high or 1):
            continue
        yield Shortcut(
            region=name,
            split=material.split,
            class_name=names[label],
            flips=share,
            control=usual,
            box=region.box if region else None,
            sample_ids=tuple(material.ids[i] for i in rows[:_SHOWN]),
            sentence=f"The {name} of {names[label]}, put into images of other classes, turns "
            f"{100 * share.value:.0f} % of their answers into {names[label]} ({share.successes} of {share.n}; with the "
            f"same region of their own class {usual.successes} of {usual.n} change).",
        )


def _turned(predicted: IntArray, labels: IntArray, swap: _Swap, label: int, other: bool) -> tuple[Flags, IntArray]:
    """Insertion: does the answer become the donors' class? Control: does the region of the own class change it?"""
    if not other:
        changed = swap.called != predicted[swap.recipients]
        return changed, swap.recipients[changed]
    of_class = (labels[swap.donors] == label) & (predicted[swap.recipients] != label)
    hits = swap.called[of_class] == label
    return hits, swap.recipients[of_class][hits]


def _swap(eye: Eye, side: Side, layers: Layers, region: Region | None, other: bool, streams: Streams) -> _Swap:
    material = side.material
    free = side.sure if region is None else side.sure[~_hits(side, region)]
    recipients, donors = [], []
    for turn in range(ROUNDS):
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
        pixels = Layers(layers.objects[to], layers.alpha[to], layers.backgrounds[of]).flat()
    else:
        pixels = _pasted(material.pixels, to, of, region)
    return _Swap(to, of, eye.predicted(pixels))


def _hits(side: Side, region: Region) -> Flags:
    """(S,) of the sure images: whether the object reaches into the region by more than a twentieth of it."""
    return side.masks.values[side.sure][:, region.pixels].mean(axis=1) > 0.05


def _pasted(pixels: ByteArray, to: IntArray, of: IntArray, region: Region) -> ByteArray:
    return np.where(region.pixels[None, :, :, None], pixels[of], pixels[to])
