"""Everything that one split's labels and predictions say about the model, each figure with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fruitaudit.errors import DataError, ModelError
from fruitaudit.evaluation.calibration import ece_if_calibrated, reliability
from fruitaudit.evaluation.coverage import accuracy_coverage, accuracy_when_answering
from fruitaudit.evaluation.curves import DRAWN_FROM, macro_precision_recall, macro_roc
from fruitaudit.evaluation.facts import Facts
from fruitaudit.evaluation.quantities import Quantities
from fruitaudit.evaluation.statistic import SplitStatistic
from fruitaudit.records.data import IntArray
from fruitaudit.records.evaluation import Curve, Predictions, SplitEvaluation
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics import bootstrap

SUREST = 0.3
"""Share of the images, those of the highest confidence, whose accuracy is measured by itself."""


def evaluate(predictions: Predictions, streams: Streams, *, top_k: Sequence[int] = (3,)) -> SplitEvaluation:
    """All figures of a split. Depends on the predictions, the seed and the split's name alone.

    Raises ModelError for scores that are no numbers, DataError for labels the model does not know.
    """
    _check(predictions)
    facts = Facts.of(predictions)
    quantities = Quantities(facts, predictions.class_names, *_resampled(predictions, facts, streams))
    roc, precision_recall = _curves(facts, predictions.class_names)
    confusion = np.zeros((len(facts.support),) * 2, dtype=np.int64)
    np.add.at(confusion, (facts.labels, facts.predicted), 1)
    return SplitEvaluation(
        split=predictions.split,
        role=predictions.role,
        n=facts.n,
        metrics=quantities.scalars(_true_class_ranks(predictions), top_k),
        classes=quantities.classes(),
        averages=quantities.averages(),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        roc=roc,
        precision_recall=precision_recall,
        reliability=reliability(facts.confidence, facts.correct, facts.groups),
        coverage=accuracy_coverage(facts.confidence, facts.correct),
        surest=accuracy_when_answering(predictions, SUREST),
        probability_range=_probability_range(predictions),
        notes=_notes(facts, predictions.class_names),
    )


def _check(predictions: Predictions) -> None:
    k = len(predictions.class_names)
    for name, scores in (("probabilities", predictions.probabilities), ("logits", predictions.logits)):
        if scores.shape != (len(predictions.labels), k):
            raise ModelError(
                f"split {predictions.split}: {name} have the shape {scores.shape}, but there are "
                f"{len(predictions.labels)} images and {k} classes; give one class name for each output of the model"
            )
        bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if len(bad):
            raise ModelError(
                f"the model gives {name} that are not finite for {len(bad)} of {len(scores)} images of split "
                f"{predictions.split}, the first {predictions.sample_ids[bad[0]]}; check its weights and preprocessing"
            )
    unknown = np.flatnonzero((predictions.labels < 0) | (predictions.labels >= k))
    if len(unknown):
        raise DataError(
            f"{predictions.sample_ids[unknown[0]]} has the label {predictions.labels[unknown[0]]}, but the model has "
            f"{k} classes, numbered from 0"
        )


def _resampled(predictions: Predictions, facts: Facts, streams: Streams) -> tuple[bootstrap.Values, bootstrap.Values]:
    """Every figure itself and its resamples, by name."""
    if not facts.n:
        return {}, {}
    resamples = bootstrap.resamples_for(*predictions.probabilities.shape)
    statistic = SplitStatistic.of(facts, predictions.probabilities)
    rng = streams.rng("bootstrap", predictions.split)
    samples = bootstrap.resample(statistic, facts.labels, rng, resamples=resamples, groups=facts.groups)
    rng = streams.rng("calibrated", predictions.split)
    by_chance = ece_if_calibrated(facts.confidence, rng, resamples=resamples)
    # Right answers that come in groups stray farther from their probabilities, by the root of the design effect.
    samples["ece_if_calibrated"] = by_chance * np.sqrt(facts.n / facts.n_effective)
    return facts.figures(), samples


def _true_class_ranks(predictions: Predictions) -> IntArray:
    """(N,): how many classes come before the true one; of two equal ones the first comes first, as in `predicted`."""
    p = predictions.probabilities
    labels = predictions.labels[:, None]
    true = np.take_along_axis(p, labels, axis=1)
    ranks: IntArray = ((p > true) | ((p == true) & (np.arange(p.shape[1]) < labels))).sum(axis=1)
    return ranks


def _probability_range(predictions: Predictions) -> float | None:
    digests = predictions.pixel_digests
    if len(predictions.labels) < 2 or (digests is not None and len(set(digests)) == 1):
        return None
    return float(np.ptp(predictions.probabilities, axis=0).max())


def _curves(facts: Facts, names: Sequence[str]) -> tuple[tuple[Curve, ...], tuple[Curve, ...]]:
    curve_sweeps = {c: sweep for c, sweep in facts.sweeps.items() if sweep.n_positive >= DRAWN_FROM}
    roc = [sweep.roc(names[c]) for c, sweep in curve_sweeps.items()]
    precision_recall = [sweep.precision_recall(names[c]) for c, sweep in curve_sweeps.items()]
    if facts.micro:
        roc.append(facts.micro.roc("micro"))
        precision_recall.append(facts.micro.precision_recall("micro"))
    if facts.sweeps:
        sweeps = list(facts.sweeps.values())
        roc.append(macro_roc(sweeps, facts.n))
        precision_recall.append(macro_precision_recall(sweeps, facts.n))
    return tuple(roc), tuple(precision_recall)


def _notes(facts: Facts, names: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if not facts.n:
        return ("the split has no images: nothing could be measured",)
    absent = [name for name, n in zip(names, facts.support, strict=True) if not n]
    if absent:
        notes.append(f"no image of {len(absent)} of {len(names)} classes: {', '.join(absent)}")
    few = [name for name, n in zip(names, facts.support, strict=True) if 0 < n < DRAWN_FROM]
    if few:
        notes.append(f"curves are drawn for classes with {DRAWN_FROM} images or more; left out: {', '.join(few)}")
    return tuple(notes)
