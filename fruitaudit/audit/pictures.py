"""The photographs that the report shows: explained samples at high resolution, and a seeded draw of every class."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fruitaudit.data.decode import BadImage, read_bytes
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.records.data import ByteArray, Sample
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.results import Picture, SheetRow
from fruitaudit.runtime.files import atomic
from fruitaudit.runtime.streams import Streams

ORIGINAL_SIDE = 400
"""Longest side of a photograph in the report, in pixels: sharp in a panel, small in a mail."""
THUMBNAIL_SIDE = 88
TOP = 4


@dataclass(frozen=True)
class Album:
    """Writes pictures under `out`/pictures; names are hashes, because sample ids come from a stranger's disk."""

    out: Path
    preprocessor: Preprocessor
    samples: Mapping[str, Sample]

    def explained(self, predictions: Mapping[str, Predictions], sample_ids: Sequence[str]) -> tuple[Picture, ...]:
        """One `Picture` per sample, in the order given."""
        rows = {s: (p, i) for p in predictions.values() for i, s in enumerate(p.sample_ids)}
        return tuple(self._picture(sample_id, *rows[sample_id]) for sample_id in sample_ids)

    def contact_sheet(
        self, predictions: Sequence[Predictions], per_class: int, streams: Streams
    ) -> tuple[SheetRow, ...]:
        """`per_class` images of every class and split, drawn with the seed."""
        rows = []
        for split in predictions:
            for index, name in enumerate(split.class_names):
                population = np.flatnonzero(split.labels == index)
                rng = streams.rng("contact sheet", split.split, name)
                sample_rows = np.sort(rng.choice(population, min(per_class, len(population)), replace=False))
                ids = tuple(split.sample_ids[i] for i in sample_rows)
                files = tuple(self._thumbnail(self.samples[i]) for i in ids)
                rows.append(SheetRow(split.split, name, len(population), files, ids))
        return tuple(rows)

    def _picture(self, sample_id: str, predictions: Predictions, row: int) -> Picture:
        sample, names = self.samples[sample_id], predictions.class_names
        probabilities = predictions.probabilities[row]
        classes = list(np.argsort(-probabilities, kind="stable")[:TOP])
        if sample.label not in classes:
            classes.append(sample.label)
        pixels = self.preprocessor.decoded(read_bytes(sample)).pixels
        resized = self.preprocessor.resized(pixels)
        original, size = self._original(sample, pixels)
        return Picture(
            sample_id=sample_id,
            true_class=names[sample.label],
            predicted_class=names[int(probabilities.argmax())],
            probabilities={names[i]: float(probabilities[i]) for i in classes},
            seen=self._write(sample_id, "seen.png", Image.fromarray(resized)),
            original=original,
            original_size=size,
        )

    def _original(self, sample: Sample, pixels: ByteArray) -> tuple[str | None, tuple[int, int] | None]:
        """The paired photograph, else the file itself where it holds more than the model sees."""
        if sample.original is not None:
            try:
                pixels = self.preprocessor.decoded(sample.original.read_bytes()).pixels
            except (OSError, BadImage):
                return None, None
        elif max(pixels.shape[:2]) <= max(self.preprocessor.height, self.preprocessor.width):
            return None, None
        height, width = pixels.shape[:2]
        image = Image.fromarray(pixels)
        image.thumbnail((ORIGINAL_SIDE, ORIGINAL_SIDE), Image.Resampling.LANCZOS)
        return self._write(sample.id, "original.jpg", image), (width, height)

    def _thumbnail(self, sample: Sample) -> str:
        image = Image.fromarray(self.preprocessor.decoded(read_bytes(sample)).pixels)
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
        return self._write(sample.id, "small.jpg", image)

    def _write(self, sample_id: str, name: str, image: Image.Image) -> str:
        file = f"pictures/{hashlib.sha256(sample_id.encode()).hexdigest()[:16]}-{name}"
        buffer = BytesIO()
        if name.endswith(".jpg"):
            image.save(buffer, "JPEG", quality=82, optimize=True)
        else:
            image.save(buffer, "PNG", optimize=True)
        with atomic(self.out / file) as stream:
            stream.write(buffer.getvalue())
        return file
