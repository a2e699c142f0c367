"""Images without information: what a baseline, or a patch that hides something, is made of."""

from __future__ import annotations

from typing import Literal

from fruitaudit.records.data import FloatArray, Images

Fill = Literal["black", "grey", "white"]


def colour(images: Images, fill: Fill) -> FloatArray:
    """(C,) in model input units: what a black, middle grey or white pixel becomes under the preprocessing."""
    share = {"black": 0.0, "grey": 0.5, "white": 1.0}[fill]
    return (images.low + share * (images.high - images.low)).astype("float32")
