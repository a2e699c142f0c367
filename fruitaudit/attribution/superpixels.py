"""Superpixels: how an image falls into parts, and what it looks like when only some of them are shown."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.baselines import Hide, hidden
from fruitaudit.attribution.passes import ahead, in_turn, shown_or_hidden
from fruitaudit.records.data import BoolArray, FloatArray, Images
from fruitaudit.records.explanations import Segments
from fruitaudit.runtime.streams import Streams

Labels = npt.NDArray[np.int32]
Segmentation = Literal["quickshift", "slic"]


def superpixels(
    images: Images, streams: Streams, segmentation: Segmentation, kernel: float | None = None
) -> Iterator[Labels]:
    """(H, W) labels 0..S-1 without a gap, one read-only array per image, each computed while the one before is used.

    Those of the last images are kept: methods, and tests of explanations, ask for the same ones again and again.
    Found in 0..1 colour, whatever the model's input range. Quickshift has distance 200 and ratio 0.2, as the `lime`
    package; its kernel of 4 pixels joins nearly all of a 28 x 28 image into one superpixel, so without `kernel` it is
    a 25th of the shorter side where that is less than 4. SLIC is asked for 50.
    """
    unit = images.unit()
    unit = np.repeat(unit, 3, axis=-1) if unit.shape[-1] == 1 else unit
    size = kernel or max(1.0, min(4.0, min(unit.shape[1:3]) / 25))
    # The method's name is the same for all, so that methods can be compared part by part.
    seeds = [streams.integer("lime", "segmentation", sample_id, bits=31) for sample_id in images.sample_ids]
    return ahead(
        image_superpixels(image.tobytes(), image.shape, segmentation, size, seed)
        for image, seed in zip(unit, seeds, strict=True)
    )


@functools.lru_cache(maxsize=64)
def image_superpixels(
    pixels: bytes, shape: tuple[int, ...], segmentation: Segmentation, kernel: float, seed: int
) -> Labels:
    """The superpixels of one image of float32 in 0..1."""
    from skimage.segmentation import quickshift, slic

    unit = np.frombuffer(pixels, np.float32).reshape(shape)
    if segmentation == "quickshift":
        parts = quickshift(unit, kernel_size=kernel, max_dist=200, ratio=0.2, rng=seed)
    else:
        parts = slic(unit, n_segments=50, start_label=0)
    labels: Labels = np.unique(parts, return_inverse=True)[1].reshape(parts.shape).astype(np.int32)
    labels.setflags(write=False)
    return labels


def hidden_superpixels(image: Images, labels: Labels, hide: Hide) -> FloatArray:
    """(H, W, C) of one image: what each pixel shows when it is hidden; "mean" is its superpixel's own mean colour."""
    return superpixel_means(image.values[0], labels) if hide == "mean" else hidden(image, hide)[0]


def superpixel_means(values: FloatArray, labels: Labels) -> FloatArray:
    """(H, W, C) -> (H, W, C): every pixel has the mean colour of its superpixel."""
    size = np.bincount(labels.ravel())
    means = [np.bincount(labels.ravel(), channel.ravel()) / size for channel in np.moveaxis(values, -1, 0)]
    return np.stack(means, axis=-1)[labels].astype(np.float32)


def shown_in_part(
    values: FloatArray, hidden_values: FloatArray, labels: Labels, coalitions: BoolArray, batch_size: int
) -> Iterator[FloatArray]:
    """Batches (B, H, W, C) of one image, with the superpixels of each coalition (n, S) shown; one is computed ahead."""

    def batches() -> Iterator[FloatArray]:
        buffers = in_turn(min(batch_size, len(coalitions)), *values.shape)
        for start in range(0, len(coalitions), batch_size):
            masks = coalitions[start : start + batch_size].take(labels, axis=1)
            batch = next(buffers)[: len(masks)]
            shown_or_hidden(values, hidden_values, masks, batch)
            yield batch

    return ahead(batches())


def segments_of(
    labels: list[Labels], coefficients: list[FloatArray], names: tuple[str, ...], numbers: Sequence[tuple[float, ...]]
) -> Segments:
    """One record of what was found image by image; `numbers` are the diagnostics called `names`."""
    table = np.full((len(labels), max(map(len, coefficients))), np.nan, np.float32)
    for row, values in zip(table, coefficients, strict=True):
        row[: len(values)] = values
    single = sum(len(values) == 1 for values in coefficients)
    notes = (f"{single} of {len(table)} images are one superpixel: nothing can be told apart",) if single else ()
    diagnostics = dict(zip(names, np.array(numbers, np.float32).T, strict=True))
    return Segments(np.stack(labels), table, diagnostics, notes)
