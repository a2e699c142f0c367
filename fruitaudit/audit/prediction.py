"""Runs the model over a split, once, in a stream: images are never all in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fruitaudit.audit.code import predictions_code
from fruitaudit.audit.opening import Opened
from fruitaudit.data.splits import Split
from fruitaudit.data.stream import StreamSummary, stream
from fruitaudit.errors import DataError
from fruitaudit.records.data import Arrays, BadFile, ColourNote, LabelConflict, SplitSummary
from fruitaudit.records.evaluation import Predictions
from fruitaudit.runtime.cache import StageCache

SMALLEST = 2.0**-125
"""Probabilities below this are set to 0. The float32 softmax of some processors ends here, that of others at 2**-126:
images ranked by what lies between would give another AUC on another machine."""


@dataclass(frozen=True)
class PredictedSplit:
    """The predictions of one split, and a summary of its files."""

    predictions: Predictions
    summary: SplitSummary
    cached: bool


def predict(
    opened: Opened, split: Split, cache: StageCache, *, fail_on_bad: bool, advance: Callable[[int], None]
) -> PredictedSplit:
    """Probabilities and logits of every readable image of a split, in its order.

    Cached by the model's bytes, the preprocessing, and each file's name, label, size and time of change. Raises
    DataError where no image can be read, and with `fail_on_bad` for the first file that cannot be used.
    """
    stamps = {path: _stamp(path) for path in {sample.path for sample in split.samples}}
    key = {
        "model": opened.classifier.sha256,
        "classes": opened.class_names,
        "preprocessing": asdict(opened.preprocessor),
        "samples": [(s.id, s.label, s.index, stamps[s.path]) for s in split.samples],
        "code": predictions_code(opened.classifier),
    }
    arrays, cached = cache.get_or_make(f"predictions-{split.name}", key, lambda: _run(opened, split, advance))
    reading = json.loads(str(arrays["reading"]))
    bad = (*split.bad, *(BadFile(**row) for row in reading["bad"]))
    labels = arrays["labels"]
    if bad and fail_on_bad:
        raise DataError(f"split {split.name}: {bad[0].name}: {bad[0].reason}; remove it, or set on_bad_image: skip")
    if not len(labels):
        raise DataError(f"split {split.name}: none of the {split.n_found} files in {split.source} is a usable image; "
                        f"the first one: {bad[0].name}: {bad[0].reason}")  # fmt: skip
    predictions = Predictions(
        split=split.name,
        role=split.role,
        class_names=opened.class_names,
        sample_ids=tuple(str(i) for i in arrays["sample_ids"]),
        labels=labels,
        probabilities=arrays["probabilities"],
        logits=arrays["logits"],
        group_ids=_group_ids(split, arrays["sample_ids"]),
        pixel_digests=tuple(str(digest) for digest in arrays["pixel_digests"]),
    )
    summary = SplitSummary(
        name=split.name,
        role=split.role,
        source=split.source,
        n_found=split.n_found,
        n_used=len(labels),
        class_counts=tuple(int(n) for n in np.bincount(labels, minlength=len(opened.class_names))),
        bad=bad,
        conversions=tuple(ColourNote(**row) for row in reading["conversions"]),
        fingerprint=reading["fingerprint"],
        notes=split.notes,
        left_out=dict(split.left_out),
        conflicts=tuple(label_conflicts(predictions)),
    )
    return PredictedSplit(predictions, summary, cached)


def label_conflicts(predictions: Predictions) -> Iterator[LabelConflict]:
    """The pictures that occur more than once, and not under one class only."""
    rows_by_digest: dict[str, list[int]] = {}
    for row, digest in enumerate(predictions.pixel_digests or ()):
        rows_by_digest.setdefault(digest, []).append(row)
    for rows in rows_by_digest.values():
        classes = tuple(predictions.class_names[predictions.labels[row]] for row in rows)
        if len(set(classes)) > 1:
            yield LabelConflict(tuple(predictions.sample_ids[row] for row in rows), classes)


def _group_ids(split: Split, sample_ids: npt.NDArray[Any]) -> tuple[str, ...] | None:
    """Of the images read; None where the split names no group."""
    named = {sample.id: sample.group_id for sample in split.samples if sample.group_id}
    return tuple(named.get(str(i), "") for i in sample_ids) if named else None


def _stamp(path: Path) -> tuple[int, int, bool] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    # That reading is allowed changes neither size nor time.
    return stat.st_size, stat.st_mtime_ns, os.access(path, os.R_OK)


def _run(opened: Opened, split: Split, advance: Callable[[int], None]) -> Arrays:
    classifier = opened.classifier
    reading = StreamSummary()
    ids: list[str] = []
    labels: list[int] = []
    no_scores = np.zeros((0, classifier.n_classes), np.float32)
    probabilities, logits = [no_scores], [no_scores]
    for batch in stream(split, opened.preprocessor, opened.read_at_once, reading):
        p, z = classifier.scores(batch.values)
        probabilities.append(np.where(p < SMALLEST, np.float32(0), p))
        logits.append(z)
        ids += [sample.id for sample in batch.samples]
        labels += [sample.label for sample in batch.samples]
        advance(len(batch.samples))
    reading_record = {
        "bad": [asdict(bad) for bad in reading.bad],
        "conversions": [asdict(note) for note in reading.conversions],
        "fingerprint": reading.fingerprint,
    }
    return {
        "sample_ids": np.array(ids, dtype=str),
        "labels": np.array(labels, dtype=np.int64),
        "pixel_digests": np.array(reading.pixel_digests, dtype=str),
        "probabilities": np.concatenate(probabilities),
        "logits": np.concatenate(logits),
        "reading": np.array(json.dumps(reading_record)),
    }
