"""Masks of the object, cut and resized as the images themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fruitaudit.data.decode import BadImage
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.errors import DataError
from fruitaudit.records.data import FloatArray, Sample


def read_masks(samples: Sequence[Sample], preprocessor: Preprocessor) -> FloatArray | None:
    """(N, H, W): 1 on the object, 0 beside it, NaN for a sample without a mask; None where no sample has one.

    A pixel is on the object where the mask is at least half white. Raises DataError for a mask that cannot be read.
    """
    if all(sample.mask is None for sample in samples):
        return None
    masks = np.full((len(samples), preprocessor.height, preprocessor.width), np.nan, np.float32)
    for mask, sample in zip(masks, samples, strict=True):
        if sample.mask is not None:
            try:
                pixels = preprocessor.decoded(sample.mask.read_bytes()).pixels
            except (OSError, BadImage) as error:
                raise DataError(
                    f"mask {sample.mask} of {sample.id} cannot be read ({error}); mend or remove it"
                ) from None
            mask[:] = preprocessor.fitted_mask(pixels)
    return masks
