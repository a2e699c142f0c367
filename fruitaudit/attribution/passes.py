"""Many variants of each image through the model in full batches, whatever the number of images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray


def rows(n_images: int, variants: int, batch: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Image and variant index of each of `n_images` x `variants` passes, image by image, cut into batches.

    Only the last batch may be short: a batch may hold variants of several images.
    """
    for start in range(0, n_images * variants, batch):
        flat = np.arange(start, min(start + batch, n_images * variants), dtype=np.int64)
        yield flat // variants, flat % variants


def add_per_image(totals: npt.NDArray[np.float64], image: IntArray, values: FloatArray) -> None:
    """Add each row of `values` to the total of its image; `image` is sorted, as `rows` yields it."""
    starts = np.flatnonzero(np.diff(image, prepend=-1))
    totals[image[starts]] += np.add.reduceat(values, starts, axis=0, dtype=np.float64)
