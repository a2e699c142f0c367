"""RGB pixels of any size -> the tensor that the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.config.scales import APPLICATIONS
from fruitaudit.config.schema import Interpolation, Normalization, Resize
from fruitaudit.data.decode import MAX_PIXELS
from fruitaudit.errors import ConfigError, ModelError
from fruitaudit.records.data import ByteArray, FloatArray

_CV2 = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
_WHITE = (255, 255, 255)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGENET_BGR_MEAN = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class _Affine:
    """(pixel / divisor - mean) / std, of the channels in reverse order (BGR) where `bgr`."""

    divisor: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False


@dataclass(frozen=True)
class Preprocessor:
    """Fit uint8 RGB pixels (h, w, 3) to the model's height and width, then scale them to float32 (H, W, C).

    `channels` 1: luminance 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), taken before resizing.
    `resize`: "stretch" ignores the aspect ratio; "center_crop" takes the largest centred box of the model's aspect
    ratio; "pad" fits the whole image in and fills the rest with white. Interpolation is OpenCV's, on 8-bit pixels:
    only "area" averages over all pixels when it shrinks.
    `scale`: "0-1", "0-255", "-1-1", a `Normalization`, or the name of a `keras.applications` module.
    """

    height: int
    width: int
    channels: int
    resize: Resize
    interpolation: Interpolation
    scale: str | Normalization
    max_pixels: int = MAX_PIXELS
    """Larger images are not decoded."""

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ModelError(f"the model takes {self.channels} channels per image; 1 (grey) and 3 (RGB) can be audited")
        numbers = max(len(self._affine.mean), len(self._affine.std))
        if numbers not in (1, self.channels):
            raise ConfigError(f"model.preprocessing.scale: {self.scale_text} is made for {numbers} channels, but the "
                              f"model takes {self.channels}")  # fmt: skip

    def __call__(self, pixels: ByteArray) -> FloatArray:
        """(h, w, 3) uint8 -> (H, W, C) float32."""
        return self.scaled(self.fitted(pixels))

    def fitted(self, pixels: ByteArray) -> ByteArray:
        """(h, w, 3) -> (H, W, C), uint8: all but the scale."""
        fitted: _Pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if self.channels == 1 else pixels
        if fitted.shape[:2] != (self.height, self.width):
            fitted = _RESIZE[self.resize](fitted, self.height, self.width, _CV2[self.interpolation])
        return np.asarray(fitted, np.uint8).reshape(self.height, self.width, self.channels)

    def resized(self, pixels: ByteArray) -> ByteArray:
        """(h, w, 3) -> (H, W, 3) uint8: the picture that the model sees, for display."""
        fitted = self.fitted(pixels)
        return fitted if self.channels == 3 else np.repeat(fitted, 3, axis=2)

    def scaled(self, fitted: ByteArray) -> FloatArray:
        """(..., H, W, C) uint8 -> float32 of the same shape."""
        affine = self._affine
        values = (fitted[..., ::-1] if affine.bgr else fitted).astype(np.float32)
        values /= np.float32(affine.divisor)
        if any(affine.mean):
            values -= np.asarray(affine.mean, np.float32)
        if any(s != 1 for s in affine.std):
            values /= np.asarray(affine.std, np.float32)
        return values

    @cached_property
    def low(self) -> FloatArray:
        """(C,) what a black pixel becomes."""
        return self.scaled(np.zeros(self.channels, np.uint8))

    @cached_property
    def high(self) -> FloatArray:
        """(C,) what a white pixel becomes."""
        return self.scaled(np.full(self.channels, 255, np.uint8))

    @property
    def scale_text(self) -> str:
        """The scale in one phrase, for reports and messages."""
        if isinstance(self.scale, Normalization):
            return f"mean {list(self.scale.mean)}, std {list(self.scale.std)}"
        return self.scale

    @cached_property
    def _affine(self) -> _Affine:
        return _affine(self.scale)


def _affine(scale: str | Normalization) -> _Affine:
    if isinstance(scale, Normalization):
        return _Affine(255, scale.mean, scale.std)
    mode = APPLICATIONS.get(scale)
    if scale == "0-1":
        return _Affine(255)
    if scale == "0-255" or mode == "none":
        return _Affine()
    if scale == "-1-1" or mode == "tf":
        return _Affine(127.5, (1.0,))
    if mode == "torch":
        return _Affine(255, _IMAGENET_MEAN, _IMAGENET_STD)
    if mode == "caffe":
        return _Affine(mean=_IMAGENET_BGR_MEAN, bgr=True)
    raise ConfigError(f"model.preprocessing.scale: {scale!r} is no scale")


_Pixels = npt.NDArray[np.integer]


def _stretch(pixels: _Pixels, height: int, width: int, how: int) -> _Pixels:
    return cv2.resize(pixels, (width, height), interpolation=how)


def _center_crop(pixels: _Pixels, height: int, width: int, how: int) -> _Pixels:
    h, w = pixels.shape[:2]
    box_w = min(w, max(1, round(h * width / height)))
    box_h = min(h, max(1, round(w * height / width)))
    top, left = (h - box_h) // 2, (w - box_w) // 2
    return _stretch(pixels[top : top + box_h, left : left + box_w], height, width, how)


def _pad(pixels: _Pixels, height: int, width: int, how: int) -> _Pixels:
    h, w = pixels.shape[:2]
    shrink = min(height / h, width / w)
    new_h, new_w = max(1, round(h * shrink)), max(1, round(w * shrink))
    inner = _stretch(pixels, new_h, new_w, how)
    top, left = (height - new_h) // 2, (width - new_w) // 2
    bottom, right = height - new_h - top, width - new_w - left
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=_WHITE)


_RESIZE = {"stretch": _stretch, "center_crop": _center_crop, "pad": _pad}
