"""Labels that look wrong: the model is sure of another class, and so are the image's neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.images.split_sample import PixelClassifier, SplitSample
from fruitaudit.records.data import BoolArray, DoubleArray, FloatArray, IntArray
from fruitaudit.records.data_checks import DataCheck
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.intervals import share_of, wilson

WORKSHEET = "labels_to_check.csv"
"""The file, in the output folder, in which a person decides."""
NEIGHBOURS = 10
ROWS = 50
_OTHER_CONFIDENCE, _OWN_CONFIDENCE = 0.8, 0.25
"""Shares of a class's usual confidence: what the other class must reach, and the given one must not."""
_OTHER_VOTES, _OWN_VOTES = 0.75, 0.15
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

    `classes` (2, N): each image's label, and the class of most of its neighbours. `doubtful` (N,) are those that look
    wrong, `groups` (N,) those of the data.
    """

    listing: DataCheck
    doubts: tuple[Doubt, ...]
    classes: IntArray
    doubtful: BoolArray
    groups: IntArray | None
    class_names: tuple[str, ...]

    def worst(self) -> tuple[str, Estimate, Estimate] | None:
        """The class with the largest share of doubtful labels, and the others' share; None where there are none."""
        if not self.doubtful.any():
            return None
        candidates = [
            (view, c) for view in (0, 1) for c in range(len(self.class_names)) if (self.classes[view] == c).any()
        ]
        view, worst = max(candidates, key=lambda at: self.doubtful[self.classes[at[0]] == at[1]].mean())
        of_worst = self.classes[view] == worst
        return self.class_names[worst], self._share(of_worst), self._share(~of_worst)

    def _share(self, rows: BoolArray) -> Estimate:
        """Of these images those that look wrong; none of one image where there are none."""
        if not rows.any():
            return wilson(0, 1)
        return share_of(self.doubtful[rows], None if self.groups is None else self.groups[rows])


def check_labels(
    pixel_classifier: PixelClassifier,
    material: SplitSample,
    features: FloatArray,
    predictions: Predictions,
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
    probabilities = pixel_classifier.probabilities(material.pixels).astype(np.float64)
    labels, n_classes = material.labels, probabilities.shape[1]
    indices = np.arange(len(labels))
    confidences = [probabilities[labels == c, c] for c in range(n_classes)]
    mean_confidence = np.array([p.mean() if len(p) else np.inf for p in confidences])
    confident = np.where(probabilities >= _OTHER_CONFIDENCE * mean_confidence, probabilities, 0)
    confident[indices, labels] = 0
    other_class = confident.argmax(axis=1)
    doubtful = (confident.max(axis=1) > 0) & (
        probabilities[indices, labels] < _OWN_CONFIDENCE * mean_confidence[labels]
    )
    votes = neighbour_votes(features, labels, n_classes)
    rows = np.flatnonzero(
        doubtful & (votes[indices, other_class] > _OTHER_VOTES) & (votes[indices, labels] < _OWN_VOTES)
    )
    rows = rows[np.argsort(-confident[rows].max(axis=1), kind="stable")]
    names = predictions.class_names
    lines = [(material.ids[i], names[labels[i]], names[other_class[i]], f"{probabilities[i, other_class[i]]:.2f}",
              f"{votes[i, other_class[i]]:.1f}") for i in rows[:ROWS]]  # fmt: skip
    listing = DataCheck(
        "doubtful labels", material.split, len(material), len(rows),
        f"{len(rows)} of {len(material)} labels of {material.split} look wrong: the model is sure of another class, "
        f"and so are nearly all of the {NEIGHBOURS} nearest images."
        + (f" All of them are in {WORKSHEET}, with room for what a person finds." if len(rows) else ""),
        ("image", "label", "looks like", "probability", "share of neighbours"), tuple(lines),
        tuple(material.ids[i] for i in rows[:ROWS]),
    )  # fmt: skip
    looks_wrong = np.zeros(len(labels), bool)
    looks_wrong[rows] = True
    nearest = _nearest(material, features, rows, train, names) if train else [None] * len(rows)
    predicted = probabilities[rows].argmax(axis=1)
    doubts = tuple(
        Doubt(material.ids[i], names[labels[i]], names[c], float(probabilities[i, c]), neighbour)
        for i, c, neighbour in zip(rows, predicted, nearest, strict=True)
    )
    classes = np.stack([labels, votes.argmax(axis=1)])
    return LabelCheck(listing, doubts, classes, looks_wrong, material.groups, names)


def _nearest(
    material: SplitSample,
    features: FloatArray,
    rows: IntArray,
    train: tuple[SplitSample, FloatArray],
    names: Sequence[str],
) -> list[Neighbour | None]:
    """For each of the rows the nearest training image that is not the image itself."""
    train_sample, train_features = train
    distances = 1 - _unit(features[rows]) @ _unit(train_features).T
    distances[np.array(material.ids)[rows][:, None] == np.array(train_sample.ids)[None]] = np.inf
    ids, labels = train_sample.ids, train_sample.labels
    return [Neighbour(ids[k], names[labels[k]], float(row[k])) if np.isfinite(row[k]) else None
            for row, k in zip(distances, distances.argmin(axis=1), strict=True)]  # fmt: skip


def _unit(features: FloatArray) -> FloatArray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)


def neighbour_votes(features: FloatArray, labels: IntArray, n_classes: int) -> DoubleArray:
    """(N, K): the share of each image's 10 nearest other images, by cosine, that carry each label."""
    similarity = _unit(features) @ _unit(features).T
    np.fill_diagonal(similarity, -np.inf)
    k = min(NEIGHBOURS, len(labels) - 1)
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    votes = np.zeros((len(labels), n_classes))
    for column in nearest.T:
        votes[np.arange(len(labels)), labels[column]] += 1 / k
    return votes
