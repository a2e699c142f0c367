"""A picture file -> the tensor that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import get_args

import cv2
import numpy as np
from PIL import Image

from fruitaudit.config.loaders import (
    BLACK,
    DEFAULT,
    LOADERS,
    Interpolation,
    Loader,
    Resize,
    loader_of,
    misfit,
    no_filter,
)
from fruitaudit.config.scales import APPLICATIONS
from fruitaudit.config.schema import ChannelOrder, Normalization, PreprocessingSettings
from fruitaudit.data.decode import MAX_PIXELS, Decoded, decode
from fruitaudit.data.geometry import Box, Placement, placement
from fruitaudit.data.resampling import Pixels, resampled
from fruitaudit.errors import ConfigError, ModelError
from fruitaudit.records.data import BoolArray, ByteArray, FloatArray

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
    """Read a file as the trainer's loader does, fit it to the model's height and width, scale it to float32 (H, W, C).

    `channels` 1: luminance 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), taken before resizing.
    `resize`: "stretch" ignores the aspect ratio; "center_crop" takes the largest centred box of the model's aspect
    ratio (torchvision: the middle of the picture made smaller); "pad" fits the whole picture in and fills the rest.
    `scale`: "0-1", "0-255", "-1-1", a `Normalization`, or the name of a `keras.applications` module.
    `channel_order`: "bgr" hands the channels over in reverse, before the scale.
    """

    height: int
    width: int
    channels: int
    resize: Resize
    interpolation: Interpolation
    scale: str | Normalization
    max_pixels: int = MAX_PIXELS
    """Larger images are not decoded."""
    loader: Loader = LOADERS[DEFAULT]
    """Whose conventions; its resize and interpolation become those above."""
    channel_order: ChannelOrder = "rgb"

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ModelError(f"the model takes {self.channels} channels per image; 1 (grey) and 3 (RGB) can be audited")
        numbers = max(len(self._affine.mean), len(self._affine.std))
        if numbers not in (1, self.channels):
            raise ConfigError(f"model.preprocessing.scale: {self.scale_text} is made for {numbers} channels, but the "
                              f"model takes {self.channels}")  # fmt: skip
        loader = replace(self.loader, resize=self.resize, interpolation=self.interpolation)
        object.__setattr__(self, "loader", loader)
        if loader.interpolation not in loader.interpolations:
            raise ConfigError(f"model.preprocessing.interpolation: {no_filter(loader)}")

    def decoded(self, data: bytes) -> Decoded:
        """The pixels of a file, upright or not and without transparency as the loader has it. Raises BadImage."""
        return decode(data, self.max_pixels, exif=self.loader.exif, alpha=self.loader.alpha)

    def __call__(self, pixels: ByteArray) -> FloatArray:
        """(h, w, 3) uint8 -> (H, W, C) float32."""
        return self.scaled(self.fitted(pixels))

    def fitted(self, pixels: ByteArray) -> Pixels:
        """(h, w, 3) uint8 -> (H, W, C) in 0..255, uint8 or where the loader rounds nothing float32: all but scale."""
        source = self._grey(pixels) if self.channels == 1 else pixels
        where = placement(self.loader, source.shape[:2], (self.height, self.width))
        inner = resampled(self.loader, source, where.box, where.place.size)
        fitted = inner if where.place == Box(0, 0, self.height, self.width) else self._placed(inner, where)
        return fitted.reshape(self.height, self.width, self.channels)

    def resized(self, pixels: ByteArray) -> ByteArray:
        """(h, w, 3) -> (H, W, 3) uint8: the picture that the model sees, for display."""
        fitted = self.fitted(pixels)
        if fitted.dtype != np.uint8:
            fitted = np.clip(np.rint(fitted), 0, 255)
        shown = np.asarray(fitted, np.uint8)
        return shown if self.channels == 3 else np.repeat(shown, 3, axis=2)

    def fitted_mask(self, pixels: ByteArray) -> BoolArray:
        """(h, w, 3), white on the object -> (H, W): where at least half of a pixel is on it. Padding never is."""
        fitter = replace(self, channels=3, scale="0-255", loader=replace(self.loader, padding=BLACK))
        return fitter.resized(pixels)[..., 0] > 127

    def _grey(self, pixels: ByteArray) -> ByteArray:
        if self.loader.library == "Pillow":
            return np.asarray(Image.fromarray(pixels).convert("L"))
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    def _placed(self, inner: Pixels, where: Placement) -> Pixels:
        """Cut and padded to the model's size."""
        place = where.place
        colour = np.array(self.loader.padding, np.uint8)
        if inner.ndim == 2:
            colour = self._grey(colour.reshape(1, 1, 3))[0, 0]
        canvas = np.empty((self.height, self.width, *inner.shape[2:]), inner.dtype)
        canvas[:] = colour
        top, left = max(0, -place.top), max(0, -place.left)
        seen = inner[top : top + self.height - max(0, place.top), left : left + self.width - max(0, place.left)]
        canvas[max(0, place.top) :, max(0, place.left) :][: seen.shape[0], : seen.shape[1]] = seen
        return canvas

    def scaled(self, fitted: Pixels) -> FloatArray:
        """(..., H, W, C) in 0..255 -> float32 of the same shape."""
        affine = self._affine
        values = (fitted[..., ::-1] if self.blue_first else fitted).astype(np.float32)
        values /= np.float32(affine.divisor)
        if any(affine.mean):
            values -= np.asarray(affine.mean, np.float32)
        if any(s != 1 for s in affine.std):
            values /= np.asarray(affine.std, np.float32)
        return values

    @property
    def blue_first(self) -> bool:
        """Whether the model gets blue, green, red."""
        return self._affine.bgr != (self.channel_order == "bgr")

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


def ways_to_fit(prepared: Preprocessor, written: PreprocessingSettings) -> Iterator[Preprocessor]:
    """As each loader fits pictures in each way of resizing, where single keys are written with these: what to try.

    `tf.image.resize` stands with antialias unless that is written, because without it it is what
    `image_dataset_from_directory` calls. A loader that a written key makes no sense for is left out.
    """
    for name, resize in product(LOADERS, get_args(Resize)):
        keys = {"loader": name, "resize": resize}
        if name == "tf.image.resize" and written.antialias is None:
            keys["antialias"] = True
        loader = loader_of(written.model_copy(update=keys))
        if misfit(loader) is None:
            yield replace(prepared, resize=resize, interpolation=loader.interpolation, loader=loader)
