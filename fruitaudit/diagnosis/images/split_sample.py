"""What the experiments work on: a seeded draw of each split as 8-bit pixels at the model's size, and the model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from fruitaudit.data.decode import BadImage, read_bytes
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.records.data import ByteArray, FloatArray, IntArray, Role, Sample, group_numbers
from fruitaudit.records.evaluation import Predictions
from fruitaudit.runtime.streams import Streams

if TYPE_CHECKING:  # so that the factors are known before TensorFlow is loaded
    from fruitaudit.audit.opening import Opened
    from fruitaudit.models.base import WithScores

_FULL_QUALITY = 100


@dataclass(frozen=True)
class PixelClassifier:
    """The model, asked about 8-bit RGB pixels that already have its height and width."""

    classifier: WithScores
    preprocessor: Preprocessor
    _lock: Lock = field(default_factory=Lock, compare=False, repr=False)

    def probabilities(self, pixels: ByteArray) -> FloatArray:
        """(N, H, W, 3) uint8 -> (N, K). May be asked by several threads: passes are counted one after the other."""
        values = self.preprocessor.scaled(self.channels(pixels))
        with self._lock:
            return self.classifier.probabilities(values)

    def predicted(self, pixels: ByteArray) -> IntArray:
        """(N, H, W, 3) uint8 -> (N,), the most probable class of each image."""
        return self.probabilities(pixels).argmax(axis=1)

    def channels(self, pixels: ByteArray) -> ByteArray:
        """(N, H, W, 3) -> (N, H, W, C): luminance where the model takes one channel."""
        if self.preprocessor.channels == 3:
            return pixels
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in pixels]
        return np.asarray(grey, np.uint8).reshape(*pixels.shape[:3], 1)


@dataclass(frozen=True)
class Photo:
    """One decoded file: `fitted` (H, W, 3), its own size in pixels, and its JPEG quality (100 where it is none)."""

    fitted: ByteArray
    mask: ByteArray | None
    height: int
    width: int
    jpeg_quality: int


@dataclass(frozen=True)
class SplitSample:
    """N images drawn from one split. `pixels` (N, H, W, 3) uint8; `labels`, `predicted` (N,); `population` in all.

    `sources` (N,) numbers the physical object or scene of each image where the data says so (`group_id`); otherwise
    every image counts as its own, and `sources_known` is false.
    """

    split: str
    role: Role
    samples: tuple[Sample, ...]
    pixels: ByteArray
    labels: IntArray
    predicted: IntArray
    sources: IntArray
    sources_known: bool
    data_masks: tuple[ByteArray | None, ...]
    sizes: IntArray
    jpeg_quality: IntArray
    population: int

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def groups(self) -> IntArray | None:
        """(N,) `sources`, where the data names them."""
        return self.sources if self.sources_known else None

    @cached_property
    def correct(self) -> FloatArray:
        """(N,) 1.0 where the model is right."""
        return (self.predicted == self.labels).astype(np.float32)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(sample.id for sample in self.samples)

    def select(self, rows: IntArray) -> SplitSample:
        """The images of these rows."""
        return replace(
            self,
            samples=tuple(self.samples[i] for i in rows),
            pixels=self.pixels[rows],
            labels=self.labels[rows],
            predicted=self.predicted[rows],
            sources=self.sources[rows],
            data_masks=tuple(self.data_masks[i] for i in rows),
            sizes=self.sizes[rows],
            jpeg_quality=self.jpeg_quality[rows],
        )


def rgb_fitter(preprocessor: Preprocessor) -> Preprocessor:
    """The same way to fit for three channels, whatever the model takes."""
    return replace(preprocessor, channels=3, scale="0-255")


def draw(opened: Opened, predictions: Predictions, limit: int, streams: Streams) -> SplitSample:
    """Up to `limit` images of a split, spread evenly over its classes, and what the model says about them.

    Only images that the audit could read are drawn, so that nothing here fails on a bad file.
    """
    by_id = opened.samples
    rows = drawn_rows(predictions, limit, streams)
    samples = [by_id[predictions.sample_ids[i]] for i in rows]
    photos = list(read_photos(samples, rgb_fitter(opened.preprocessor)))
    readable = [i for i, photo in enumerate(photos) if photo is not None]
    samples, photos = [samples[i] for i in readable], [photos[i] for i in readable]
    sources, sources_known = number_sources(samples)
    pixels = np.stack([photo.fitted for photo in photos if photo is not None])
    pixel_classifier = PixelClassifier(opened.classifier, opened.preprocessor)
    return SplitSample(
        split=predictions.split,
        role=predictions.role,
        samples=tuple(samples),
        pixels=pixels,
        labels=np.array([sample.label for sample in samples], np.int64),
        predicted=pixel_classifier.predicted(pixels),
        sources=sources,
        sources_known=sources_known,
        data_masks=tuple(photo.mask for photo in photos if photo is not None),
        sizes=np.array([(p.height, p.width) for p in photos if p is not None], np.int64),
        jpeg_quality=np.array([p.jpeg_quality for p in photos if p is not None], np.int64),
        population=len(predictions.labels),
    )


def drawn_rows(predictions: Predictions, limit: int, streams: Streams) -> list[int]:
    """Round robin over the classes, in a seeded order within each, back in the order of the split."""
    rng = streams.rng("diagnosis draw", predictions.split)
    order = rng.permutation(len(predictions.labels))
    labels = predictions.labels[order]
    rank = np.empty(len(order), np.int64)
    for label in np.unique(labels):
        of_class = labels == label
        rank[of_class] = np.arange(of_class.sum())
    return sorted(int(i) for i in order[np.argsort(rank, kind="stable")][:limit])


def number_sources(samples: Sequence[Sample]) -> tuple[IntArray, bool]:
    """(N,) a number for each physical source, and whether the data names them."""
    numbers = group_numbers(samples)
    return (np.arange(len(samples)), False) if numbers is None else (numbers, True)


def read_photos(samples: Sequence[Sample], fitter: Preprocessor) -> Iterator[Photo | None]:
    """Each sample decoded and fitted, in order; None for one that cannot be read."""
    # Rows of an NPZ can only be unpacked one after the other.
    threads = 1 if samples and samples[0].index is not None else min(8, os.cpu_count() or 2)
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        yield from pool.map(lambda sample: _read(sample, fitter), samples)


def _read(sample: Sample, fitter: Preprocessor) -> Photo | None:
    try:
        data = read_bytes(sample)
        pixels = fitter.decoded(data).pixels
    except (OSError, BadImage):
        return None
    height, width = pixels.shape[:2]
    return Photo(fitter.resized(pixels), _data_mask(sample, fitter), height, width, _jpeg_quality(data))


def _data_mask(sample: Sample, fitter: Preprocessor) -> ByteArray | None:
    """(H, W) 0 or 1, fitted as the image is; None where the data has none that can be read."""
    if sample.mask is None:
        return None
    try:
        mask = fitter.decoded(sample.mask.read_bytes()).pixels
    except (OSError, BadImage):
        return None
    return fitter.fitted_mask(mask).astype(np.uint8)


def _jpeg_quality(data: bytes) -> int:
    """The quality, 1..100, that libjpeg's scaling of the standard luminance table would have for this file."""
    if not data.startswith(b"\xff\xd8"):
        return _FULL_QUALITY
    with Image.open(BytesIO(data)) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return _FULL_QUALITY
    # The standard luminance table sums to 3688 at quality 50.
    scale = 100 * sum(tables[min(tables)]) / 3688
    return int(np.clip(round((200 - scale) / 2 if scale <= 100 else 5000 / scale), 1, _FULL_QUALITY))
