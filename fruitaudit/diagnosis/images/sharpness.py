"""How blurred a picture is."""

from __future__ import annotations

import cv2
import numpy as np

from fruitaudit.records.data import FloatArray


def blur_metric(image: FloatArray, mask: np.ndarray) -> float:
    """How little a further blur takes away from the differences of neighbouring pixels, 0 (sharp) to 1 (blurred).

    1 - sum max(0, d(F) - d(blurred F)) / sum d(F), d the absolute difference of neighbours, over the masked region,
    in the direction in which the image is the more blurred.
    Paper: Crete, Dolmiere, Ladret, Nicolas 2007, SPIE 6492, "The blur effect".
    Differs from the paper: a 5-pixel box instead of 9, because images are small; only within the region.
    """
    grey = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)
    worst = 0.0
    for axis, size in ((0, (1, 5)), (1, (5, 1))):
        soft = cv2.blur(grey, size)
        region = np.take(mask, np.arange(1, mask.shape[axis]), axis=axis)
        before, after = (np.abs(np.diff(g, axis=axis))[region] for g in (grey, soft))
        total = float(before.sum())
        if total > 0:
            worst = max(worst, 1 - float(np.maximum(0, before - after).sum()) / total)
    return worst
