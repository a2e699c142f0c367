"""Regions outside the object by which a class is known: put in, they make it; taken away, it is lost.

For each region (16 cells, the frame, the whole background) every image gets that region of an image of another class.
Pixels of the object are never touched. The control takes the region from another image of the same class instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fruitaudit.diagnosis.gap.split_pair import MaskedSplit
from fruitaudit.diagnosis.images.split_sample import PixelClassifier
from fruitaudit.records.attacks import Shortcut
from fruitaudit.records.data import BoolArray, ByteArray, IntArray
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.intervals import share_of

GRID = 4
ENOUGH = 160
"""Images from which on one donor each is enough; of fewer, each gets two, one after the other."""
LEAST_FLIPS = 0.2
"""Smallest share of answers (lower end of its interval) that a region must turn to be called a shortcut."""
BACKGROUND = "background"
_MAX_IDS = 6
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
    """Rows of `recipients` with a region of `donors` (R,), and the `predicted` classes of the pasted images."""

    recipients: IntArray
    donors: IntArray
    predicted: IntArray


def find_shortcuts(
    pixel_classifier: PixelClassifier, side: MaskedSplit, names: Sequence[str], streams: Streams
) -> Iterator[Shortcut]:
    """The shortcuts found, each class and region at most once; the strongest region of a class only."""
    strongest: dict[str, Shortcut] = {}
    for region in (*regions(side.material.pixels.shape[1:3]), None):
        for shortcut in _of_region(pixel_classifier, side, region, names, streams):
            best = strongest.get(shortcut.class_name)
            # The whole background holds every cell: it is named only where it does more than one of them.
            if best is None or shortcut.flips.value > (best.flips.value if region else _MORE * best.flips.value):
                strongest[shortcut.class_name] = shortcut
    yield from sorted(strongest.values(), key=lambda s: -s.flips.value)


def regions(shape: tuple[int, int]) -> list[Region]:
    """16 cells and the frame."""
    height, width = shape
    tops, lefts = (np.linspace(0, n, GRID + 1).astype(int) for n in (height, width))
    cells = []
    for r in range(GRID):
        for c in range(GRID):
            pixels = np.zeros(shape, bool)
            pixels[tops[r] : tops[r + 1], lefts[c] : lefts[c + 1]] = True
            box = (int(tops[r]), int(lefts[c]), int(tops[r + 1]), int(lefts[c + 1]))
            cells.append(Region(f"row {r + 1}, column {c + 1} of {GRID}", pixels, box))
    frame = np.ones(shape, bool)
    y, x = max(1, round(FRAME * height)), max(1, round(FRAME * width))
    frame[y:-y, x:-x] = False
    return [*cells, Region("frame", frame, None)]


def _of_region(
    pixel_classifier: PixelClassifier, side: MaskedSplit, region: Region | None, names: Sequence[str], streams: Streams
) -> Iterator[Shortcut]:
    material, name = side.material, BACKGROUND if region is None else region.name
    swap, control = (_swap(pixel_classifier, side, region, foreign, streams) for foreign in (True, False))
    if not len(swap.recipients) or not len(control.recipients):
        return
    for label in np.unique(material.labels):
        for outcome in (_inserted(side, swap, control, int(label)), _removed(side, swap, control, int(label))):
            if outcome is None:
                continue
            share = share_of(outcome.flips, _groups(side, outcome.recipients))
            control_share = share_of(outcome.control_flips, _groups(side, outcome.control_recipients))
            if (share.low or 0) < LEAST_FLIPS or (share.low or 0) <= (control_share.high or 1):
                continue
            sentence = outcome.sentence.format(region=name, name=names[label], percent=f"{100 * share.value:.0f} %")
            yield Shortcut(
                region=name,
                split=material.split,
                class_name=names[label],
                flips=share,
                control=control_share,
                box=region.box if region else None,
                sample_ids=tuple(material.ids[i] for i in outcome.recipients[outcome.flips][:_MAX_IDS]),
                sentence=f"{sentence} ({share.successes} of {share.n}; with the same region of another image of their "
                f"own class {control_share.successes} of {control_share.n} change).",
                kind="background" if region is None else "cell" if region.box else "frame",
            )


@dataclass(frozen=True)
class _RegionOutcome:
    """`flips` (R,): predictions of the `recipients` that the region flipped; the same for the control."""

    flips: BoolArray
    recipients: IntArray
    control_flips: BoolArray
    control_recipients: IntArray
    sentence: str


def _groups(side: MaskedSplit, rows: IntArray) -> IntArray | None:
    return None if side.material.groups is None else side.material.groups[rows]


def _inserted(side: MaskedSplit, swap: _Swap, control_swap: _Swap, label: int) -> _RegionOutcome | None:
    """The class's region in images of other classes: do they become the class?"""
    labels, predicted = side.material.labels, side.material.predicted
    rows = (labels[swap.donors] == label) & (predicted[swap.recipients] != label)
    control_flips = control_swap.predicted != predicted[control_swap.recipients]
    if not rows.any() or not len(control_flips):
        return None
    sentence = "The {region} of {name}, put into images of other classes, turns {percent} of their answers into {name}"
    return _RegionOutcome(
        swap.predicted[rows] == label, swap.recipients[rows], control_flips, control_swap.recipients, sentence
    )


def _removed(side: MaskedSplit, swap: _Swap, control_swap: _Swap, label: int) -> _RegionOutcome | None:
    """Other classes' region in images of the class: are they still known?"""
    labels, predicted = side.material.labels, side.material.predicted
    rows, control_rows = (
        (labels[s.recipients] == label) & (predicted[s.recipients] == label) for s in (swap, control_swap)
    )
    if not rows.any() or not control_rows.any():
        return None
    sentence = "With the {region} of other classes, {percent} of the images of {name} are no longer known"
    flips, control_flips = swap.predicted[rows] != label, control_swap.predicted[control_rows] != label
    control_recipients = control_swap.recipients[control_rows]
    return _RegionOutcome(flips, swap.recipients[rows], control_flips, control_recipients, sentence)


def _swap(
    pixel_classifier: PixelClassifier, side: MaskedSplit, region: Region | None, other: bool, streams: Streams
) -> _Swap:
    material = side.material
    free = side.sure if region is None else side.sure[~_overlaps(side, region)]
    recipients, donors = [], []
    for draw in range(1 if len(free) >= ENOUGH else 2):
        rng = streams.rng("shortcut", region.name if region else BACKGROUND, str(other), str(draw))
        for i in free:
            same_class = material.labels[free] == material.labels[i]
            pool = free[~same_class] if other else free[same_class & (free != i)]
            if len(pool):
                recipients.append(i)
                donors.append(rng.choice(pool))
    recipient_rows, donor_rows = np.array(recipients, np.int64), np.array(donors, np.int64)
    if not len(recipient_rows):
        return _Swap(recipient_rows, donor_rows, recipient_rows)
    if region is None:
        pixels = replace(
            side.cutouts[recipient_rows], backgrounds=side.cutouts.backgrounds[donor_rows].astype(np.float32)
        ).flat()
    else:
        pixels = _pasted(material.pixels, recipient_rows, donor_rows, region)
    return _Swap(recipient_rows, donor_rows, pixel_classifier.predicted(pixels))


def _overlaps(side: MaskedSplit, region: Region) -> BoolArray:
    """(S,) of the sure images: whether the object reaches into the region by more than a twentieth of it."""
    return side.masks.values[side.sure][:, region.pixels].mean(axis=1) > 0.05


def _pasted(pixels: ByteArray, to: IntArray, of: IntArray, region: Region) -> ByteArray:
    return np.where(region.pixels[None, :, :, None], pixels[of], pixels[to])
