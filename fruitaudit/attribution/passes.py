"""Many variants of each image through the model in full batches, whatever the number of images."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray

Item = TypeVar("Item")


def rows(n_images: int, variants: int, batch: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Image and variant index of each of `n_images` x `variants` passes, image by image, cut into batches.

    Only the last batch may be short: a batch may hold variants of several images.
    """
    for start in range(0, n_images * variants, batch):
        flat = np.arange(start, min(start + batch, n_images * variants), dtype=np.int64)
        yield flat // variants, flat % variants


def runs(image: IntArray) -> Iterator[tuple[int, slice]]:
    """Each image of a batch and the rows that are variants of it: what is broadcast over them need not be copied."""
    edges = np.flatnonzero(np.diff(image, prepend=-1, append=-1))
    for start, stop in itertools.pairwise(edges.tolist()):
        yield int(image[start]), slice(start, stop)


def shown_or_hidden(
    values: FloatArray, hidden: FloatArray, masks: Iterable[npt.NDArray[np.bool_]], output: FloatArray
) -> None:
    """Fill each image of `output` (B, H, W, C): `values` (H, W, C) where its mask (H, W) is set, else `hidden`.

    Equal to `np.where`, bit by bit, in about a tenth of its time.
    """
    import cv2

    output[:] = hidden
    for mask, image in zip(masks, output, strict=True):
        cv2.copyTo(values, mask.view(np.uint8), image)


def by_number(masks: FloatArray, channels: int) -> FloatArray:
    """(B, H, W) -> (B, H, W, C): as long as images, because to broadcast three channels at a time is slow."""
    return masks.reshape(len(masks), -1).repeat(channels, axis=1).reshape(*masks.shape, channels)


def bilinear(
    mask: FloatArray, height: int, width: int, rows: slice = slice(None), columns: slice = slice(None)
) -> FloatArray:
    """(h, w) -> these rows and columns of (height, width), bilinearly, as OpenCV.

    By two small products of matrices, in a tenth of its time.
    """
    down, across = _enlarging(mask.shape[0], height)[rows], _enlarging(mask.shape[1], width)[columns]
    enlarged: FloatArray = down @ mask @ across.T
    return enlarged


@functools.cache
def _enlarging(side: int, larger: int) -> Any:
    """(larger, side) the weight of each old place in each new one."""
    import cv2

    return cv2.resize(np.eye(side, dtype=np.float32), (side, larger), interpolation=cv2.INTER_LINEAR)


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items in the same order, each one made in a thread while the one before it is used."""
    end, source = object(), iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        future = thread.submit(next, source, end)
        while (item := future.result()) is not end:
            future = thread.submit(next, source, end)
            yield cast("Item", item)


def in_turn(*shape: int) -> Iterator[FloatArray]:
    """Two arrays, in turn: one to be filled `ahead` while the other is used. New memory would cost as much again."""
    return itertools.cycle([np.empty(shape, np.float32) for _ in range(2)])


def add_per_image(totals: npt.NDArray[np.float64], image: IntArray, values: FloatArray) -> None:
    """Add each row of `values` to the total of its image, one after the other, so that batches do not matter."""
    for i, row in zip(image, values, strict=True):
        totals[i] += row
