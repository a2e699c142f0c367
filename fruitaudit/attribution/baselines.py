"""Images without information: what a baseline, or a patch that hides something, is made of."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fruitaudit.records.data import FloatArray, Images

Fill = Literal["black", "grey", "white"]
Hide = Literal["grey", "black", "white", "mean", "blur"]


def colour(images: Images, fill: Fill) -> FloatArray:
    """(C,) in model input units: what a black, middle grey or white pixel becomes under the preprocessing."""
    share = {"black": 0.0, "grey": 0.5, "white": 1.0}[fill]
    return (images.low + share * (images.high - images.low)).astype("float32")


def hidden(images: Images, hide: Hide) -> FloatArray:
    """(N, H, W, C), read-only: the colour of each pixel when it is hidden; "mean" is the image's own mean colour."""
    if hide == "blur":
        return blurred(images)
    baseline = images.values.mean(axis=(1, 2), keepdims=True) if hide == "mean" else colour(images, hide)
    return np.broadcast_to(baseline, images.values.shape)


def blurred(images: Images) -> FloatArray:
    """(N, H, W, C) without detail: a Gaussian of a tenth of the shorter side as standard deviation."""
    import cv2

    deviation = min(images.values.shape[1:3]) / 10
    copies = [cv2.GaussianBlur(values, (0, 0), deviation, borderType=cv2.BORDER_REFLECT) for values in images.values]
    return np.stack(copies).reshape(images.values.shape)
