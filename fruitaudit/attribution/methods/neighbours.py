from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, VISIBLE_LAYERS, Diagnostic, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import activations
from fruitaudit.attribution.patches import best_patches
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.evidence import Neighbours
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

CENTRE_IMAGES = 64
"""Reference images whose mean activation is taken for what every image has."""
BLOCK_BYTES = 100_000_000
"""Bytes of features that may always be in memory, however little a batch takes."""


@dataclass(frozen=True, config=OPTIONS)
class NearestNeighbours:
    """The reference images that are most like this one to the model, and whether anything like it was there at all.

    d(x, r) = 1 - cos(f(x), f(r)), or |f(x) - f(r)|,  f what the last dense layer sees.
    u(x) = share of reference images r with min_s d(r, s) < min_s d(x, s): near 1, nothing like x was among them.
    Paper: Papernot, McDaniel 2018, arXiv:1803.04765, sec. IV; the matching patch after Chen, Li, Tao, Barnett, Su,
    Rudin 2018, arXiv:1806.10574, sec. 2.1.
    Differs from the paper: one layer is compared and no credibility is computed from it; no prototypes are learned, it
    is the model as it stands that is asked. The patch: see `patches`. An image is never its own neighbour. Where the
    features of all reference images take more memory than a batch on its way through the network, they are computed
    again for each block of reference images that fits.

    Parameters: `neighbours` how many; `metric`; `layer` whose output is compared, left out: what the last dense layer
    sees; `among` "all" reference images, or the "medoids", one per class: the image with the smallest sum of distances
    to the others of its class; `patch` side of the patch in places of the last layer that has any; `reference_images`
    to compare with.
    Returns reference images, nearest first, with their distances; as diagnostics `nearest` (the distance of the
    nearest), and `same_class`, the share of neighbours that have the class explained.
    Raises CannotExplain without reference images, or where the model's layers are hidden.
    """

    registration: ClassVar[Registration] = Registration(
        name="nearest_neighbours",
        title="Nearest neighbours",
        family="example",
        question="Which reference images are most like this one to the model, and was anything like it among them?",
        paper="Papernot and McDaniel 2018, arXiv:1803.04765",
        explains="activation",
        channels="none",
        signed=False,
        needs=("activations",),
        requires=(VISIBLE_LAYERS,),
        quick_options=(("reference_images", 12),),
        cost="at most 1 + neighbours forward, and once the reference images; more where their features fill the memory",
        upper_bound=True,
        diagnostics=(Diagnostic("nearest", "nearest"), Diagnostic("same_class", "same class")),
        contract_options=(("neighbours", 2), ("metric", "euclidean"), ("layer", "early"), ("among", "medoids"),
                             ("patch", 1), ("reference_images", 4)),
    )  # fmt: skip

    neighbours: Annotated[int, Field(ge=1)] = 5
    metric: Literal["cosine", "euclidean"] = "cosine"
    layer: str | None = None
    among: Literal["all", "medoids"] = "all"
    patch: Annotated[int, Field(ge=1)] = 3
    reference_images: Annotated[int, Field(ge=2)] = 1000

    @property
    def background_size(self) -> int:
        return self.reference_images

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Neighbours:
        references = images.background
        if references is None or len(references.values) < 2:
            count = 0 if references is None else len(references.values)
            raise CannotExplain("nearest neighbours are looked for among at least 2 reference images, and there are "
                                f"{count}; name a split with the role reference that has more")  # fmt: skip
        explained = _FeatureSource(model, images.values, self.layer, len(images))
        compared = _FeatureSource(model, references.values, self.layer, CENTRE_IMAGES)
        distances, reference_distances = self._distance_matrices(explained, compared, self._width(model))
        is_same = np.array(images.sample_ids)[:, None] == np.array(references.sample_ids)
        distances[is_same] = np.inf
        np.fill_diagonal(reference_distances, np.inf)
        nearest = distances.min(axis=1)
        unusual = (reference_distances.min(axis=1) < nearest[:, None]).mean(axis=1).astype(np.float32)
        candidates = np.arange(len(references.values))
        if self.among == "medoids":
            candidates = medoids(reference_distances, references.labels)
        k = min(self.neighbours, int((~is_same[:, candidates]).sum(axis=1).min()))
        order = np.argsort(distances[:, candidates], axis=1, kind="stable")[:, :k]
        neighbour_rows = candidates[order].astype(np.int64)
        labels = references.labels[neighbour_rows]
        return Neighbours(
            values=references.values[neighbour_rows],
            labels=labels,
            distances=np.take_along_axis(distances, neighbour_rows, axis=1).astype(np.float32),
            unusual=unusual,
            sample_ids=tuple(tuple(references.sample_ids[i] for i in row) for row in neighbour_rows),
            boxes=_boxes(model, explained, compared, neighbour_rows, self.patch, images.values.shape[1:3]),
            low=images.low,
            high=images.high,
            diagnostics={
                "nearest": nearest.astype(np.float32),
                "same_class": (labels == targets.classes[:, None]).mean(axis=1).astype(np.float32),
            },
            notes=(f"among {len(candidates)} of {references.population} reference images",),
        )

    def _distance_matrices(
        self, explained: _FeatureSource, compared: _FeatureSource, width: int
    ) -> tuple[DoubleArray, DoubleArray]:
        """(N, M) and (M, M) distances of (N, width) and (M, width) features; one block and one batch are in memory."""
        n, m, size = len(explained.values), len(compared.values), _block_size(explained.model, width)
        distances, reference_distances = np.empty((n, m)), np.empty((m, m))
        for start in range(0, m, size):
            block = slice(start, min(start + size, m))
            block_features = np.empty((block.stop - start, width))
            for rows, features in compared.batches(block):
                block_features[rows.start - start : rows.stop - start] = self._comparable(features)
            reference_distances[block, block] = self._distances(block_features, block_features)
            for rows, features in explained.batches(slice(0, n)):
                distances[rows, block] = self._distances(self._comparable(features), block_features)
            for rows, features in compared.batches(slice(block.stop, m)):
                reference_distances[rows, block] = self._distances(self._comparable(features), block_features)
                reference_distances[block, rows] = reference_distances[rows, block].T
        return distances, reference_distances

    def _width(self, model: Model) -> int:
        """How many features there are."""
        return model.features(np.empty((0, *model.input_shape), np.float32), self.layer).shape[1]

    def _comparable(self, features: FloatArray) -> DoubleArray:
        """(N, D); of length 1 where angles are compared, so that |a - b|^2 / 2 = 1 - cos."""
        wide = features.astype(np.float64)
        if self.metric == "cosine":
            lengths = np.linalg.norm(wide, axis=1, keepdims=True)
            wide /= np.where(lengths > 0, lengths, 1)
        return wide

    def _distances(self, a: DoubleArray, b: DoubleArray) -> DoubleArray:
        if self.metric == "cosine":
            return np.maximum(1 - a @ b.T, 0)
        # Row by row: the squares of all would take as much memory as they do.
        of_a, of_b = (np.array([row @ row for row in rows]) for rows in (a, b))
        return np.sqrt(np.maximum(of_a[:, None] + of_b - 2 * (a @ b.T), 0))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=self.reference_images + n_images * (1 + self.neighbours))

    def passes_on(self, model: Model, n_images: int) -> Passes:
        """Each block of reference images is compared with the images and with all reference images after it."""
        blocks = range(0, self.reference_images, _block_size(model, self._width(model)))
        reference_passes = sum(self.reference_images - start for start in blocks)
        return Passes(forward=reference_passes + n_images * (len(blocks) + self.neighbours))


@dataclasses.dataclass
class _FeatureSource:
    """Images whose features are computed batch by batch, as often as they are asked for."""

    model: Model
    values: FloatArray
    layer: str | None
    first: int
    """Keep the CAM-layer activations of the first `first` images."""
    _places: list[FloatArray] = dataclasses.field(default_factory=list)

    def batches(self, rows: slice) -> Iterator[tuple[slice, FloatArray]]:
        """(rows, features) of each batch of these rows."""
        for start in range(rows.start, rows.stop, self.model.batch_size):
            batch, path = slice(start, min(start + self.model.batch_size, rows.stop)), self.model.cam_layer
            is_first = path is not None and start == sum(map(len, self._places)) < self.first
            features, *places = self.model.features_at(
                self.values[batch], (self.layer, path) if is_first else (self.layer,)
            )
            self._places += places
            yield batch, features

    @property
    def at_places(self) -> FloatArray:
        """(first, ...), one row per image."""
        return np.concatenate(self._places)[: self.first]


def _block_size(model: Model, width: int) -> int:
    """Number of images whose features, in float64, take as much memory as all activations of one batch."""
    numbers = sum(prod(side or 1 for side in layer.shape) for layer in model.layers)
    return max(max(model.batch_size * numbers * 4, BLOCK_BYTES) // (width * 8), 1)


def _boxes(
    model: Model,
    explained: _FeatureSource,
    compared: _FeatureSource,
    neighbour_rows: IntArray,
    patch: int,
    size: tuple[int, int],
) -> IntArray:
    """(N, k, 2, 4) the patch in the image and in each neighbour that match best; -1 without places."""
    boxes, path = np.full((*neighbour_rows.shape, 2, 4), -1, np.int64), model.cam_layer
    if path is None:
        return boxes
    explained_activations, reference_activations = explained.at_places, compared.at_places
    step = max(_block_size(model, explained_activations.shape[1]) // max(neighbour_rows.shape[1], 1), 1)
    for start in range(0, len(neighbour_rows), step):
        batch = slice(start, start + step)
        shown_rows, rows = np.unique(neighbour_rows[batch], return_inverse=True)
        neighbour_activations = activations(model, compared.values[shown_rows], path)
        explained_batch, centres = (
            array.reshape(-1, *neighbour_activations.shape[1:])
            for array in (explained_activations[batch], reference_activations)
        )
        centre = centres.mean(axis=(0, 1, 2))
        boxes[batch] = best_patches(
            explained_batch - centre,
            (neighbour_activations - centre)[rows.reshape(neighbour_rows[batch].shape)],
            patch,
            size,
        )
    return boxes


def medoids(distances: DoubleArray, labels: IntArray) -> IntArray:
    """Row of each class's medoid, of (M, M) distances."""
    medoid_rows = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        inside = distances[np.ix_(rows, rows)]
        medoid_rows.append(rows[np.where(np.isfinite(inside), inside, 0).sum(axis=1).argmin()])
    return np.array(medoid_rows, dtype=np.int64)


METHODS = (NearestNeighbours,)
