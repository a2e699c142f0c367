"""Labels that look wrong: the model is sure of another class, and so are the image's neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.contrast import Values
from fruitaudit.diagnosis.material import Eye, Material
from fruitaudit.evaluation.intervals import wilson
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.diagnosis import Listing
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate

NEIGHBOURS = 10
ROWS = 50


@dataclass(frozen=True)
class LabelCheck:
    """The worksheet, and per class (K,) how many labels were looked at and how many look wrong."""

    listing: Listing
    looked: IntArray
    wrong: IntArray
    class_names: tuple[str, ...]

    def worst(self) -> tuple[str, Estimate, Estimate] | None:
        """The class with the largest share of doubtful labels, and the others' share; None where there are none."""
        if not self.wrong.any():
            return None
        share = self.wrong / np.maximum(self.looked, 1)
        worst = int(share.argmax())
        others = np.arange(len(share)) != worst
        return (
            self.class_names[worst],
            wilson(int(self.wrong[worst]), int(self.looked[worst])),
            wilson(int(self.wrong[others].sum()), max(1, int(self.looked[others].sum()))),
        )


def check_labels(eye: Eye, material: Material, told: Predictions) -> LabelCheck:
    """An image is listed if the model gives another class at least that class's usual confidence, its own label less
    than its own class's usual confidence, and most of its 10 nearest neighbours in the model's features agree.

    Paper: Northcutt, Jiang, Chuang 2021, J. Artif. Intell. Res. 70, arXiv:1911.00068, eq. 1-2 (confident joint).
    Differs from the paper: probabilities are the audited model's own, which may have learned the wrong labels, instead
    of cross-validated ones; therefore the neighbours must agree.
    """
    probabilities = eye.probabilities(material.pixels).astype(np.float64)
    labels, n_classes = material.labels, probabilities.shape[1]
    usual = np.array(
        [probabilities[labels == c, c].mean() if (labels == c).any() else np.inf for c in range(n_classes)]
    )
    confident = np.where(probabilities >= usual, probabilities, 0)
    confident[np.arange(len(labels)), labels] = 0
    other = confident.argmax(axis=1)
    doubtful = (confident.max(axis=1) > 0) & (probabilities[np.arange(len(labels)), labels] < usual[labels])
    votes = neighbour_votes(
        eye.classifier.features(eye.preprocessor.scaled(eye.channels(material.pixels))), labels, n_classes
    )
    agree = votes[np.arange(len(labels)), other] > 0.5
    rows = np.flatnonzero(doubtful & agree)
    rows = rows[np.argsort(-confident[rows].max(axis=1), kind="stable")]
    names = told.class_names
    lines = [(material.ids[i], names[labels[i]], names[other[i]], f"{probabilities[i, other[i]]:.2f}",
              f"{votes[i, other[i]]:.1f}") for i in rows[:ROWS]]  # fmt: skip
    listing = Listing(
        "doubtful labels", material.split, len(material), len(rows),
        f"{len(rows)} of {len(material)} labels of {material.split} look wrong: the model is sure of another class and "
        f"most of the {NEIGHBOURS} nearest images have that label.",
        ("image", "label", "looks like", "probability", "share of neighbours"), tuple(lines),
        tuple(material.ids[i] for i in rows[:ROWS]),
    )  # fmt: skip
    looked = np.bincount(labels, minlength=n_classes).astype(np.int64)
    return LabelCheck(listing, looked, np.bincount(labels[rows], minlength=n_classes).astype(np.int64), names)


def neighbour_votes(features: FloatArray, labels: IntArray, n_classes: int) -> Values:
    """(N, K): the share of each image's 10 nearest other images, by cosine, that carry each label."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    k = min(NEIGHBOURS, len(labels) - 1)
    nearest = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
    votes = np.zeros((len(labels), n_classes))
    for column in nearest.T:
        votes[np.arange(len(labels)), labels[column]] += 1 / k
    return votes
