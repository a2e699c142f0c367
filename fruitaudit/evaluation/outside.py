"""Answers that cannot be right in these data, since no image is labelled so."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fruitaudit.records.evaluation import OutsideAnswers, Predictions
from fruitaudit.statistics.intervals import share_of


def outside_answers(predictions: Collection[Predictions]) -> tuple[OutsideAnswers, ...]:
    """By split; empty where each output of the model is the label of some image."""
    splits = [p for p in predictions if len(p.labels)]
    if not splits:
        return ()
    n_outputs = len(splits[0].class_names)
    labelled = np.unique(np.concatenate([p.labels for p in splits]))
    if len(labelled) == n_outputs:
        return ()
    return tuple(_of_split(p, labelled.tolist(), n_outputs) for p in splits)


def _of_split(split: Predictions, labelled: list[int], n_outputs: int) -> OutsideAnswers:
    right = split.predicted == split.labels
    outside = ~np.isin(split.predicted, labelled)
    restricted = np.array(labelled)[split.logits[:, labelled].argmax(axis=1)] == split.labels
    return OutsideAnswers(
        split.split,
        int((~right).sum()),
        int(outside.sum()),
        len(labelled),
        n_outputs,
        share_of(right, split.groups),
        share_of(restricted, split.groups),
    )
