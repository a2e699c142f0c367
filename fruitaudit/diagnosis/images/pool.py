"""The images of all splits that are looked at, decoded once, and what the model's last dense layer sees of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fruitaudit.audit.opening import Opened
from fruitaudit.diagnosis.images.split_sample import PixelClassifier, SplitSample, draw, drawn_rows
from fruitaudit.models.base import offering
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True)
class Pool:
    """A bounded draw of images from each split; experiments select rows of it."""

    pixel_classifier: PixelClassifier
    predictions: Mapping[str, Predictions]
    streams: Streams
    materials: Mapping[str, SplitSample]
    _features: dict[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(cls, opened: Opened, predictions: Mapping[str, Predictions], limit: int, streams: Streams) -> Pool:
        pixel_classifier = PixelClassifier(opened.classifier, opened.preprocessor)
        return cls(
            pixel_classifier, predictions, streams, {n: draw(opened, p, limit, streams) for n, p in predictions.items()}
        )

    def rows(self, split: str, limit: int) -> IntArray:
        """Rows of the split's material that a draw of `limit` images takes."""
        predictions = self.predictions[split]
        sample_ids = {predictions.sample_ids[i] for i in drawn_rows(predictions, limit, self.streams)}
        return np.array([i for i, name in enumerate(self.materials[split].ids) if name in sample_ids], np.int64)

    def features(self, split: str) -> FloatArray:
        """(N, D) of the split's material. Raises CannotExplain where the model has none."""
        if split not in self._features:
            pixels = self.materials[split].pixels
            values = self.pixel_classifier.preprocessor.scaled(self.pixel_classifier.channels(pixels))
            self._features[split] = offering(self.pixel_classifier.classifier, "activations").features(values)
        return self._features[split]
