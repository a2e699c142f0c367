"""Reads a split in batches: images are decoded ahead in threads, in order, and never all in memory."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from fruitaudit.data import decode as d
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.resampling import Pixels
from fruitaudit.data.splits import Split
from fruitaudit.errors import DataError
from fruitaudit.records.data import BadFile, ColourNote, FloatArray, Images, Sample, group_numbers

TO_GREY = "colour reduced to grey"
_TASK = 16
"""Files a thread takes at once: fewer and handing them over costs more than decoding small ones."""


@dataclass(frozen=True)
class Batch:
    """`values` (B, H, W, C) float32, preprocessed, and the B samples they were made of."""

    values: FloatArray
    samples: tuple[Sample, ...]


@dataclass
class StreamSummary:
    """What came to light while a split was read; complete once the stream has ended."""

    bad: list[BadFile] = field(default_factory=list)
    n_used: int = 0
    pixel_digests: list[str] = field(default_factory=list)
    _conversions: Counter[str] = field(default_factory=Counter)
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def conversions(self) -> tuple[ColourNote, ...]:
        """How many of the images used had to be converted, by kind, most frequent first."""
        ordered = sorted(self._conversions.items(), key=lambda item: (-item[1], item[0]))
        return tuple(ColourNote(conversion, n) for conversion, n in ordered)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over id, label and SHA-256 of the file of every image used, in order."""
        return self._digest.hexdigest()

    def add(self, sample: Sample, image: _DecodedImage) -> None:
        """Note one image that is used."""
        self.n_used += 1
        self.pixel_digests.append(image.pixel_digest)
        self._conversions.update(image.conversions)
        self._digest.update(f"{sample.id}\0{sample.label}\0".encode("utf-8", "surrogateescape") + image.digest)


@dataclass(frozen=True)
class _DecodedImage:
    fitted: Pixels
    conversions: tuple[str, ...]
    digest: bytes
    pixel_digest: str


def stream(
    split: Split, preprocessor: Preprocessor, batch_size: int, summary: StreamSummary | None = None
) -> Iterator[Batch]:
    """Batches of `batch_size` images in the order of the split; only the last one may be smaller.

    Files that cannot be used are skipped and noted in `summary`. Two batches are decoded ahead at most.
    """
    summary = StreamSummary() if summary is None else summary
    fitted: list[Pixels] = []
    samples: list[Sample] = []
    for sample, image in _read_all(split.samples, preprocessor, ahead=2 * batch_size):
        if isinstance(image, str):
            summary.bad.append(BadFile(sample.id.partition("/")[2], image))
            continue
        summary.add(sample, image)
        fitted.append(image.fitted)
        samples.append(sample)
        if len(samples) == batch_size:
            yield Batch(preprocessor.scaled(np.stack(fitted)), tuple(samples))
            fitted, samples = [], []
    if samples:
        yield Batch(preprocessor.scaled(np.stack(fitted)), tuple(samples))


def read_images(samples: Sequence[Sample], preprocessor: Preprocessor) -> Images:
    """A few samples as one batch. Raises DataError for one that cannot be read."""
    fitted: list[Pixels] = [np.zeros((0, preprocessor.height, preprocessor.width, preprocessor.channels), np.uint8)]
    for sample, image in _read_all(samples, preprocessor, ahead=len(samples)):
        if isinstance(image, str):
            raise DataError(f"image {sample.id}: {image}")
        fitted.append(image.fitted[None])
    values = preprocessor.scaled(np.concatenate(fitted))
    ids = tuple(sample.id for sample in samples)
    return Images(values, ids, preprocessor.low, preprocessor.high, groups=group_numbers(samples))


def _read_all(
    samples: Sequence[Sample], preprocessor: Preprocessor, *, ahead: int
) -> Iterator[tuple[Sample, _DecodedImage | str]]:
    """Every sample in order with what was read, or the reason why nothing was."""
    waiting: deque[tuple[Sequence[Sample], Future[list[_DecodedImage | str]]]] = deque()
    size = min(_TASK, max(1, ahead // 4))
    # Rows of an NPZ can only be unpacked one after the other.
    threads = 1 if samples and samples[0].index is not None else min(8, os.cpu_count() or 2)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        for first in range(0, len(samples), size):
            task = samples[first : first + size]
            waiting.append((task, pool.submit(_read_task, task, preprocessor)))
            if len(waiting) * size >= ahead:
                done, future = waiting.popleft()
                yield from zip(done, future.result(), strict=True)
        while waiting:
            done, future = waiting.popleft()
            yield from zip(done, future.result(), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_task(samples: Sequence[Sample], preprocessor: Preprocessor) -> list[_DecodedImage | str]:
    return [_read_sample(sample, preprocessor) for sample in samples]


def _read_sample(sample: Sample, preprocessor: Preprocessor) -> _DecodedImage | str:
    try:
        data = d.read_bytes(sample)
        decoded = preprocessor.decoded(data)
    except d.BadImage as error:
        return str(error)
    except FileNotFoundError:
        return "missing: there is no such file"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    conversions = decoded.conversions
    if preprocessor.channels == 1:
        grey = d.GREY in conversions
        conversions = tuple(c for c in conversions if c != d.GREY) if grey else (*conversions, TO_GREY)
    fitted = preprocessor.fitted(decoded.pixels)
    return _DecodedImage(
        fitted, conversions, hashlib.sha256(data).digest(), hashlib.sha256(fitted.tobytes()).hexdigest()
    )
