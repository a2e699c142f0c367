from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import activations
from fruitaudit.attribution.patches import best_patches
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import Background, FloatArray, Images, IntArray
from fruitaudit.records.evidence import Neighbours
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime import Streams

CENTRE = 64
"""Reference images whose mean activation is taken for what every image has."""


@dataclass(frozen=True, config=OPTIONS)
class NearestNeighbours:
    """The reference images that are most like this one to the model, and whether anything like it was there at all.

    d(x, r) = 1 - cos(f(x), f(r)), or |f(x) - f(r)|,  f what the last dense layer sees.
    u(x) = share of reference images r with min_s d(r, s) < min_s d(x, s): near 1, nothing like x was among them.
    Paper: Papernot, McDaniel 2018, arXiv:1803.04765, sec. IV; the matching patch after Chen, Li, Tao, Barnett, Su,
    Rudin 2018, arXiv:1806.10574, sec. 2.1.
    Differs from the paper: one layer is compared and no credibility is computed from it; no prototypes are learned, it
    is the model as it stands that is asked. The patch: see `patches`. An image is never its own neighbour.

    Parameters: `neighbours` how many; `metric`; `layer` whose output is compared, left out: what the last dense layer
    sees; `among` "all" reference images, or the "medoids", one a class: that with the smallest sum of distances to the
    others of its class; `patch` side of the patch in places of the last layer that has any; `reference_images` to
    compare with.
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
        cost="at most 1 + neighbours forward, and once the reference images",
        option_that_changes=(("neighbours", 2), ("metric", "euclidean"), ("layer", "early"), ("among", "medoids"),
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
        known = images.background
        if known is None or len(known.values) < 2:
            raise CannotExplain("nearest neighbours are looked for among reference images, and there are none; name a "
                                "split with the role reference")  # fmt: skip
        # Places, where there are any, come from the same passes.
        asked = (self.layer,) if model.cam_layer is None else (self.layer, model.cam_layer)
        features, *our_places = model.features_at(images.values, asked)
        first, *their_places = model.features_at(known.values[:CENTRE], asked)
        rest = [model.features(known.values[CENTRE:], self.layer)] if len(known.values) > CENTRE else []
        ours, theirs = self._comparable(features), self._comparable(np.concatenate([first, *rest]))
        distances = self._distances(ours, theirs)
        own = np.array(images.sample_ids)[:, None] == np.array(known.sample_ids)
        distances[own] = np.inf
        between = self._distances(theirs, theirs)
        np.fill_diagonal(between, np.inf)
        nearest = distances.min(axis=1)
        unusual = (between.min(axis=1) < nearest[:, None]).mean(axis=1).astype(np.float32)
        candidates = np.arange(len(known.values))
        if self.among == "medoids":
            candidates = medoids(between, known.labels)
        k = min(self.neighbours, int((~own[:, candidates]).sum(axis=1).min()))
        order = np.argsort(distances[:, candidates], axis=1, kind="stable")[:, :k]
        which = candidates[order].astype(np.int64)
        labels = known.labels[which]
        return Neighbours(
            values=known.values[which],
            labels=labels,
            distances=np.take_along_axis(distances, which, axis=1).astype(np.float32),
            unusual=unusual,
            sample_ids=tuple(tuple(known.sample_ids[i] for i in row) for row in which),
            boxes=_boxes(model, known, which, [*our_places, *their_places], self.patch, images.values.shape[1:3]),
            low=images.low,
            high=images.high,
            diagnostics={
                "nearest": nearest.astype(np.float32),
                "same_class": (labels == targets.classes[:, None]).mean(axis=1).astype(np.float32),
            },
            notes=(f"among {len(candidates)} of {known.population} reference images",),
        )

    def _comparable(self, features: FloatArray) -> npt.NDArray[np.float64]:
        """(N, D); of length 1 where angles are compared, so that |a - b|^2 / 2 = 1 - cos."""
        wide = features.astype(np.float64)
        if self.metric == "euclidean":
            return wide
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        return wide / np.where(lengths > 0, lengths, 1)

    def _distances(self, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if self.metric == "cosine":
            return np.maximum(1 - a @ b.T, 0)
        square = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
        return np.sqrt(np.maximum(square, 0))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=self.reference_images + n_images * (1 + self.neighbours))


def _boxes(
    model: Model, known: Background, which: IntArray, places: list[FloatArray], patch: int, size: tuple[int, int]
) -> IntArray:
    """(N, k, 2, 4) the patch in the image and in each neighbour that match best; -1 without places.

    `places` are what the layer answers to the images and to the first reference images, a row each.
    """
    path = model.cam_layer
    if path is None:
        return np.full((*which.shape, 2, 4), -1, np.int64)
    shown, rows = np.unique(which, return_inverse=True)
    theirs = activations(model, known.values[shown], path)
    ours, first = (one.reshape(-1, *theirs.shape[1:]) for one in places)
    centre = first.mean(axis=(0, 1, 2))
    return best_patches(ours - centre, (theirs - centre)[rows.reshape(which.shape)], patch, size)


def medoids(between: npt.NDArray[np.float64], labels: IntArray) -> IntArray:
    """Row of each class's medoid, of (M, M) distances."""
    found = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        inside = between[np.ix_(rows, rows)]
        found.append(rows[np.where(np.isfinite(inside), inside, 0).sum(axis=1).argmin()])
    return np.array(found, dtype=np.int64)


METHODS = (NearestNeighbours,)
