"""Labels that look wrong: the model is sure of another class, and so are the image's neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.images.material import PixelClassifier, SplitSample
from fruitaudit.records.data import DoubleArray, FloatArray, IntArray
from fruitaudit.records.data_checks import DataCheck
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.intervals import wilson

WORKSHEET = "labels_to_check.csv"
"""The file, in the output folder, in which a person decides."""
NEIGHBOURS = 10
ROWS = 50
_NEARLY, _HARDLY = 0.8, 0.25
"""Shares of a class's usual confidence: what the other class must reach, and the given one must not."""
_MOST, _FEW = 0.75, 0.15
"""Shares of the neighbours: more than this with the other label, fewer than this with the image's own."""


@dataclass(frozen=True)
class Neighbour:
    """A training image and its cosine distance, 0..2, in the model's features."""

    sample_id: str
    label: str
    distance: float


@dataclass(frozen=True)
class Doubt:
    """One label that looks wrong. `nearest` training image, None where no split is what the model was trained on."""

    sample_id: str
    label: str
    predicted: str
    probability: float
    nearest: Neighbour | None


@dataclass(frozen=True)
class LabelCheck:
    """All doubtful labels; and of each class, by its label and by what its images look like, how many look wrong.

    `looked` and `wrong` (2, K): row 0 counts images by their label, row 1 by the class of most of their neighbours.
    """

    listing: DataCheck
    doubts: tuple[Doubt, ...]
    looked: IntArray
    wrong: IntArray
    class_names: tuple[str, ...]

    def worst(self) -> tuple[str, Estimate, Estimate] | None:
        """The class with the largest share of doubtful labels, and the others' share; None where there are none."""
        if not self.wrong.any():
            return None
        share = self.wrong / np.maximum(self.looked, 1)
        view, worst = np.unravel_index(int(share.argmax()), share.shape)
        others = np.arange(share.shape[1]) != worst
        looked, wrong = self.looked[view], self.wrong[view]
        return (
            self.class_names[worst],
            wilson(int(wrong[worst]), int(looked[worst])),
            wilson(int(wrong[others].sum()), max(1, int(looked[others].sum()))),
        )


def check_labels(
    eye: PixelClassifier,
    material: SplitSample,
    features: FloatArray,
    told: Predictions,
    train: tuple[SplitSample, FloatArray] | None,
) -> LabelCheck:
    """Labels that the model and the image's neighbours contradict; `train` are training images with their features.

    An image is listed if the model gives another class at least 0.8 of that class's mean confidence and its own label
    less than 0.25 of its own, and of its 10 nearest neighbours in the model's features at least 8 carry the other label
    and at most one its own: a hard image lies among both classes, a wrong label among the other one alone.
    Paper: Northcutt, Jiang, Chuang 2021, J. Artif. Intell. Res. 70, arXiv:1911.00068, eq. 1-2 (confident joint).
    Differs from the paper: the two factors; and probabilities are the audited model's own, which may have learned the
    wrong labels, not cross-validated: therefore neighbours must agree.
    """
    probabilities = eye.probabilities(material.pixels).astype(np.float64)
    labels, n_classes = material.labels, probabilities.shape[1]
    every = np.arange(len(labels))
    own = [probabilities[labels == c, c] for c in range(n_classes)]
    usual = np.array([p.mean() if len(p) else np.inf for p in own])
    confident = np.where(probabilities >= _NEARLY * usual, probabilities, 0)
    confident[every, labels] = 0
    other = confident.argmax(axis=1)
    doubtful = (confident.max(axis=1) > 0) & (probabilities[every, labels] < _HARDLY * usual[labels])
    votes = neighbour_votes(features, labels, n_classes)
    rows = np.flatnonzero(doubtful & (votes[every, other] > _MOST) & (votes[every, labels] < _FEW))
    rows = rows[np.argsort(-confident[rows].max(axis=1), kind="stable")]
    names = told.class_names
    lines = [(material.ids[i], names[labels[i]], names[other[i]], f"{probabilities[i, other[i]]:.2f}",
              f"{votes[i, other[i]]:.1f}") for i in rows[:ROWS]]  # fmt: skip
    listing = DataCheck(
        "doubtful labels", material.split, len(material), len(rows),
        f"{len(rows)} of {len(material)} labels of {material.split} look wrong: the model is sure of another class, "
        f"and so are nearly all of the {NEIGHBOURS} nearest images."
        + (f" All of them are in {WORKSHEET}, with room for what a person finds." if len(rows) else ""),
        ("image", "label", "looks like", "probability", "share of neighbours"), tuple(lines),
        tuple(material.ids[i] for i in rows[:ROWS]),
    )  # fmt: skip
    looked, wrong = ([np.bincount(c, minlength=n_classes) for c in views]
                     for views in ((labels, votes.argmax(axis=1)), (labels[rows], other[rows])))  # fmt: skip
    nearest = _nearest(material, features, rows, train, names) if train else [None] * len(rows)
    called = probabilities[rows].argmax(axis=1)
    doubts = tuple(
        Doubt(material.ids[i], names[labels[i]], names[c], float(probabilities[i, c]), near)
        for i, c, near in zip(rows, called, nearest, strict=True)
    )
    return LabelCheck(listing, doubts, np.array(looked, np.int64), np.array(wrong, np.int64), names)


def _nearest(
    material: SplitSample,
    features: FloatArray,
    rows: IntArray,
    train: tuple[SplitSample, FloatArray],
    names: Sequence[str],
) -> list[Neighbour | None]:
    """For each of the rows the nearest training image that is not the image itself."""
    shown, theirs = train
    distances = 1 - _unit(features[rows]) @ _unit(theirs).T
    distances[np.array(material.ids)[rows][:, None] == np.array(shown.ids)[None]] = np.inf
    return [Neighbour(shown.ids[k], names[shown.labels[k]], float(row[k])) if np.isfinite(row[k]) else None
            for row, k in zip(distances, distances.argmin(axis=1), strict=True)]  # fmt: skip


def _unit(features: FloatArray) -> FloatArray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)


def neighbour_votes(features: FloatArray, labels: IntArray, n_classes: int) -> DoubleArray:
    """(N, K): the share of each image's 10 nearest other images, by cosine, that carry each label."""
    likeness = _unit(features) @ _unit(features).T
    np.fill_diagonal(likeness, -np.inf)
    k = min(NEIGHBOURS, len(labels) - 1)
    nearest = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
    votes = np.zeros((len(labels), n_classes))
    for column in nearest.T:
        votes[np.arange(len(labels)), labels[column]] += 1 / k
    return votes
