"""Images changed so little that nobody sees it. Made once, for all methods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from fruitaudit.models.base import WithScores
from fruitaudit.records.data import DoubleArray, FloatArray, Images
from fruitaudit.records.states import NotRun, Quantity
from fruitaudit.records.trust import StabilityRow
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.small_samples import CORRELATION, mean_over_images
from fruitaudit.trust.similarity import ranks_pixels, spearman

ChangeKind = Literal["noise", "shift", "jpeg"]


@dataclass(frozen=True)
class ChangedImages:
    """The images after one kind of change; `kept` (N,) where the model still names the same class."""

    kind: ChangeKind
    strength: float
    images: Images
    same_prediction: npt.NDArray[np.bool_]

    def first(self, n: int) -> ChangedImages:
        """The first n images."""
        return ChangedImages(self.kind, self.strength, self.images.select(slice(0, n)), self.same_prediction[:n])


def change(model: WithScores, images: Images, kind: ChangeKind, strength: float, streams: Streams) -> ChangedImages:
    """`noise` of this share of the range, `shift` by this many pixels right and down, `jpeg` of this quality."""
    changed_values = {"noise": _noisy, "shift": _shifted, "jpeg": _jpeg}[kind](images, strength, streams)
    before, after = (model.probabilities(values).argmax(axis=1) for values in (images.values, changed_values))
    return ChangedImages(kind, strength, replace(images, values=changed_values), before == after)


def stability(
    images: Images, changed: ChangedImages, maps: FloatArray, maps_after: FloatArray, streams: Streams
) -> StabilityRow:
    """Rank correlation of the maps before and after, and the relative change of the map per change of the image.

    L = (|m(x') - m(x)| / |m(x)|) / (|x' - x| / |x|), x in 0..1 colour; a shift is undone in the map first.
    Paper: Alvarez-Melis, Jaakkola 2018, arXiv:1806.08049, eq. 2, made relative as in Agarwal et al. 2022,
    arXiv:2203.06877, eq. 2. Differs from the papers: the mean over images at given changes, not the largest over a
    neighbourhood; norms are divided as wholes. `maps` and `maps_after` are (N, H, W), rows that are not kept unused.
    """
    rows = np.flatnonzero(changed.same_prediction)
    groups = None if images.groups is None else images.groups[rows]
    before, after = maps[rows], maps_after[rows]
    if changed.kind == "shift":
        by = int(changed.strength)
        before, after = before[:, :-by, :-by], after[:, by:, by:]
    if not len(rows):
        nothing = NotRun("the prediction changes on every image", "no_images")
        return StabilityRow(changed.kind, changed.strength, 0, len(images), nothing, nothing)
    relative: Quantity = NotRun("a shift is no small change of the pixels' values", "not_applicable")
    if changed.kind != "shift":
        x, x_after = (i.unit()[rows] for i in (images, changed.images))
        relative = mean_over_images(_relative(before, after) / _norm(x_after - x) * _norm(x), streams, groups=groups)
    correlation = mean_over_images(spearman(before, after), streams, within=CORRELATION, groups=groups)
    return StabilityRow(changed.kind, changed.strength, len(rows), len(images), correlation, relative)


def _relative(before: FloatArray, after: FloatArray) -> DoubleArray:
    usable = ranks_pixels(before) & ranks_pixels(after)
    scores = np.full(len(before), np.nan)
    scores[usable] = _norm(after[usable] - before[usable]) / _norm(before[usable])
    return scores


def _norm(arrays: FloatArray) -> DoubleArray:
    """(N, ...) -> (N,)."""
    return np.sqrt((arrays.astype(np.float64) ** 2).sum(axis=tuple(range(1, arrays.ndim))))


def _noisy(images: Images, strength: float, streams: Streams) -> FloatArray:
    noise = [streams.rng("trust", "noise", i).standard_normal(images.values.shape[1:]) for i in images.sample_ids]
    noisy = images.values + strength * (images.high - images.low) * np.stack(noise)
    return np.clip(noisy, *np.sort([images.low, images.high], axis=0)).astype(np.float32)


def _shifted(images: Images, strength: float, streams: Streams) -> FloatArray:
    by = int(strength)
    return np.pad(images.values, ((0, 0), (by, 0), (by, 0), (0, 0)), mode="edge")[:, :-by, :-by]


def _jpeg(images: Images, strength: float, streams: Streams) -> FloatArray:
    import cv2

    def again(image: FloatArray) -> FloatArray:
        pixels = np.rint(image * 255).astype(np.uint8)
        _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_UNCHANGED), np.float32).reshape(image.shape)

    # OpenCV takes channels as blue, green, red, and JPEG thins out colour: the order matters.
    unit = np.stack([again(image[..., ::-1])[..., ::-1] for image in images.unit()]) / np.float32(255)
    return (images.low + unit * (images.high - images.low)).astype(np.float32)
