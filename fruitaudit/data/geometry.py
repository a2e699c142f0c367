"""Which part of a picture becomes which part of the model's input, as each library computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fruitaudit.config.loaders import Loader


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


@dataclass(frozen=True)
class Placement:
    """`box` of the picture is resampled to the size of `place`, which lies so in the model's input.

    What of the input lies outside `place` is padding; what of `place` lies outside the input is cut off.
    """

    box: Box
    place: Box


def placement(loader: Loader, source: tuple[int, int], target: tuple[int, int]) -> Placement:
    """How a picture of height and width `source` gets the size `target`."""
    whole = Box(0, 0, *source)
    if loader.resize == "stretch":
        return Placement(whole, Box(0, 0, *target))
    if loader.resize == "pad":
        return Placement(whole, _PAD[loader.library](source, target))
    if loader.name == "torchvision":
        return Placement(whole, _resize_and_center_crop(source, target, loader.shorter_side))
    return Placement(_CROP[loader.library](source, target), Box(0, 0, *target))


def _crop_opencv(source: tuple[int, int], target: tuple[int, int]) -> Box:
    """The largest centred box of the target's proportions, its sides rounded."""
    (h, w), (height, width) = source, target
    box_h = min(h, max(1, round(w * height / width)))
    box_w = min(w, max(1, round(h * width / height)))
    return Box((h - box_h) // 2, (w - box_w) // 2, box_h, box_w)


def _crop_keras(source: tuple[int, int], target: tuple[int, int]) -> Box:
    """`keras.preprocessing.image.smart_resize`: its float32 numbers are cut to integers."""
    (h, w), (height, width) = source, target
    box_h = max(1, min(h, int(np.float32(w * height) / np.float32(width))))
    box_w = max(1, min(w, int(np.float32(h * width) / np.float32(height))))
    return Box(int(np.float32(h - box_h) / 2), int(np.float32(w - box_w) / 2), box_h, box_w)


def _crop_load_img(source: tuple[int, int], target: tuple[int, int]) -> Box:
    """`keras.utils.load_img(keep_aspect_ratio=True)`; a side of 0 pixels, where it fails, becomes 1."""
    (h, w), (height, width) = source, target
    box_h = max(1, min(h, w * height // width))
    box_w = max(1, min(w, h * width // height))
    return Box((h - box_h) // 2, (w - box_w) // 2, box_h, box_w)


def _pad_opencv(source: tuple[int, int], target: tuple[int, int]) -> Box:
    """The whole picture, its sides rounded."""
    (h, w), (height, width) = source, target
    shrink = min(height / h, width / w)
    return _centred(max(1, round(h * shrink)), max(1, round(w * shrink)), target)


def _pad_tensorflow(source: tuple[int, int], target: tuple[int, int]) -> Box:
    """`tf.image.resize_with_pad`, in float32; a side of 0 pixels, where it fails, becomes 1."""
    h, w, height, width = (np.float32(side) for side in (*source, *target))
    ratio = max(w / width, h / height)
    new_h, new_w = h / ratio, w / ratio
    top, left = (max(0, int(np.floor((side - new) / 2))) for side, new in ((height, new_h), (width, new_w)))
    return Box(top, left, max(1, int(new_h)), max(1, int(new_w)))


def _pad_pillow(source: tuple[int, int], target: tuple[int, int]) -> Box:
    """`PIL.ImageOps.pad`."""
    (h, w), (height, width) = source, target
    new_h, new_w = height, width
    if w / h > width / height:
        new_h = max(1, round(h / w * width))
    elif w / h < width / height:
        new_w = max(1, round(w / h * height))
    return Box(round((height - new_h) * 0.5), round((width - new_w) * 0.5), new_h, new_w)


def _centred(new_h: int, new_w: int, target: tuple[int, int]) -> Box:
    return Box((target[0] - new_h) // 2, (target[1] - new_w) // 2, new_h, new_w)


def _resize_and_center_crop(source: tuple[int, int], target: tuple[int, int], shorter_side: int | None) -> Box:
    """`torchvision.transforms.Resize(shorter_side)` and `CenterCrop`: 256 for 224, as its reference scripts have it."""
    (h, w), (height, width) = source, target
    short = shorter_side or round(min(target) * 256 / 224)
    new_h, new_w = (int(short * h / w), short) if w <= h else (short, int(short * w / h))
    return Box(_crop_start(new_h, height), _crop_start(new_w, width), new_h, new_w)


def _crop_start(new: int, side: int) -> int:
    return (side - new) // 2 if side > new else -round((new - side) / 2)


_CROP: dict[str, Callable[[tuple[int, int], tuple[int, int]], Box]] = {
    "OpenCV": _crop_opencv,
    "TensorFlow": _crop_keras,
    "Pillow": _crop_load_img,
}
_PAD: dict[str, Callable[[tuple[int, int], tuple[int, int]], Box]] = {
    "OpenCV": _pad_opencv,
    "TensorFlow": _pad_tensorflow,
    "Pillow": _pad_pillow,
}
