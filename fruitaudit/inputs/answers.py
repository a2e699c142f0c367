"""What a model answers to the same images prepared in several ways."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from fruitaudit.data.decode import BadImage, read_bytes
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.resampling import Pixels
from fruitaudit.data.splits import Split
from fruitaudit.errors import DataError
from fruitaudit.models.base import WithScores
from fruitaudit.models.memory import UNIT
from fruitaudit.records.data import BoolArray, DoubleArray, IntArray, Sample, group_numbers
from fruitaudit.runtime.streams import Streams

_LEAST = 1e-12
"""Of a probability, before its logarithm."""


@dataclass
class Answers:
    """Of the images read so far: labels (N,), and per way the predicted class and log p of the true label, (N,)."""

    labels: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    shapes: list[tuple[int, int]] = field(default_factory=list)
    predicted: dict[Preprocessor, list[int]] = field(default_factory=dict)
    log_likelihoods: dict[Preprocessor, list[float]] = field(default_factory=dict)

    @property
    def groups(self) -> IntArray | None:
        """(N,) numbers of the groups."""
        return group_numbers(self.samples)

    def answers_of(self, way: Preprocessor) -> IntArray:
        """(N,)"""
        return np.array(self.predicted[way], np.int64)

    def right(self, way: Preprocessor) -> BoolArray:
        """(N,)"""
        return self.answers_of(way) == np.array(self.labels)

    def log_likelihood(self, way: Preprocessor) -> float:
        """Mean over the images."""
        return float(np.mean(self.log_likelihoods[way]))


class ImageSource:
    """The readable images of some splits, in an order drawn with the seed, each decoded when it is asked for."""

    def __init__(self, splits: Sequence[Split], streams: Streams) -> None:
        samples = [sample for split in splits for sample in split.samples]
        self.name = " and ".join(split.name for split in splits)
        order = streams.rng("preparation", *(split.name for split in splits)).permutation(len(samples))
        self._samples = [samples[row] for row in order]
        self._reason = "there is none"

    def __len__(self) -> int:
        return len(self._samples)

    def blocks(self, ways: Sequence[Preprocessor], start: int, stop: int) -> Iterator[list[Fitted]]:
        """The images of these rows, fitted in every way that differs in more than scale and order; a pass at a time."""
        fits = tuple(dict.fromkeys(_fit_of(way) for way in ways))
        in_files = bool(self._samples) and self._samples[0].index is None
        with ThreadPoolExecutor(min(8, os.cpu_count() or 2) if in_files else 1) as pool:
            for first in range(start, stop, UNIT):
                samples = self._samples[first : min(first + UNIT, stop)]
                read = list(pool.map(lambda sample: _read(sample, fits), samples))
                self._reason = next((image for image in read if isinstance(image, str)), self._reason)
                yield [image for image in read if isinstance(image, Fitted)]

    def shapes(self, way: Preprocessor, n: int) -> list[tuple[int, int]]:
        """(height, width) of the first n images, those that can be read."""
        return [image.shape for block in self.blocks((way,), 0, min(n, len(self))) for image in block]

    def require(self, answers: Answers) -> None:
        """Raise DataError where not one image could be read."""
        if not answers.labels:
            raise DataError(f"split {self.name}: no image can be read to infer the preprocessing from; {self._reason}")


@dataclass(frozen=True)
class Fitted:
    """One image; `pixels` by the way of fitting it."""

    sample: Sample
    shape: tuple[int, int]
    pixels: dict[Preprocessor, Pixels]


def ask(
    answers: Answers, ways: Sequence[Preprocessor], source: ImageSource, start: int, stop: int, classifier: WithScores
) -> None:
    """Add the model's answers to the images of these rows; an answer that is no number is wrong."""
    for block in source.blocks(ways, start, stop):
        if not block:
            continue
        labels = np.array([image.sample.label for image in block])
        answers.labels += labels.tolist()
        answers.samples += [image.sample for image in block]
        answers.shapes += [image.shape for image in block]
        for way in ways:
            values = way.scaled(np.stack([image.pixels[_fit_of(way)] for image in block]))
            probabilities = np.nan_to_num(classifier.probabilities(values).astype(np.float64), nan=0.0)
            of_truth: DoubleArray = probabilities[np.arange(len(block)), labels]
            empty = probabilities.max(axis=1) <= 0
            predicted = np.where(empty, -1, probabilities.argmax(axis=1))
            answers.predicted.setdefault(way, []).extend(predicted.tolist())
            answers.log_likelihoods.setdefault(way, []).extend(np.log(np.clip(of_truth, _LEAST, 1)).tolist())


def _fit_of(way: Preprocessor) -> Preprocessor:
    return replace(way, scale="0-1", channel_order="rgb")


def _read(sample: Sample, fits: Sequence[Preprocessor]) -> Fitted | str:
    try:
        data = read_bytes(sample)
        decoders = {(fit.loader.exif, fit.loader.alpha): fit for fit in fits}
        pixels = {how: fit.decoded(data).pixels for how, fit in decoders.items()}
    except (BadImage, OSError) as error:
        return f"{sample.id}: {error}"
    shape = next(iter(pixels.values())).shape
    fitted = {fit: fit.fitted(pixels[fit.loader.exif, fit.loader.alpha]) for fit in fits}
    return Fitted(sample, (shape[0], shape[1]), fitted)
