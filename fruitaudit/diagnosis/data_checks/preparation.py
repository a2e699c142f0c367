"""The same files prepared in other ways: if one is far better on the lab's own test split, the pipeline is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fruitaudit.data.decode import BadImage, read_bytes
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.diagnosis.images.split_sample import PixelClassifier, SplitSample, rgb_fitter
from fruitaudit.errors import AuditError
from fruitaudit.records.data import ByteArray, IntArray
from fruitaudit.records.data_checks import PreprocessingTrial, Setting
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.means import SHARE, mean_of

_SCALES = ("0-1", "-1-1", "0-255", "densenet", "resnet50")
_SCALE_NAMES = {"densenet": "ImageNet mean and deviation", "resnet50": "BGR minus the ImageNet mean"}
_RESIZES = ("stretch", "center_crop", "pad")
_INTERPOLATIONS = ("nearest", "bilinear", "area", "lanczos")
WAYS = 1 + len(_SCALES) + len(_RESIZES) - 1 + len(_INTERPOLATIONS)
"""At most: with the channels swapped, and where the given way is none of these."""


@dataclass(frozen=True)
class Preparation:
    """A way of preparing and what the model then says, (N,)."""

    setting: Setting
    value: str
    predicted: IntArray


def try_preparations(
    pixel_classifier: PixelClassifier, material: SplitSample, streams: Streams
) -> Iterator[PreprocessingTrial]:
    """Channel order, scale, resize, interpolation, class order: accuracy of each, paired with the given way."""
    for preparation in (
        *_values(pixel_classifier, material),
        *_geometry(pixel_classifier, material),
        *_class_orders(material),
    ):
        correct = preparation.predicted == material.labels
        key = (material.split, preparation.setting, preparation.value)

        yield PreprocessingTrial(
            preparation.setting,
            preparation.value,
            material.split,
            mean_of(correct, material.sources, material.sources_known, streams, "preparation", *key, possible=SHARE),
            mean_of(correct - material.correct, material.sources, material.sources_known, streams, "gain", *key),
        )


def _values(pixel_classifier: PixelClassifier, material: SplitSample) -> Iterator[Preparation]:
    pixels = pixel_classifier.channels(material.pixels)
    preprocessor = pixel_classifier.preprocessor
    if preprocessor.channels == 3:
        swapped = pixel_classifier.classifier.probabilities(preprocessor.scaled(pixels[..., ::-1]))
        yield Preparation("channel order", "blue and red swapped", swapped.argmax(axis=1))
    for scale in _SCALES:
        if scale == preprocessor.scale or (preprocessor.channels != 3 and scale in _SCALE_NAMES):
            continue
        values = replace(preprocessor, scale=scale).scaled(pixels)
        predicted = np.nan_to_num(pixel_classifier.classifier.probabilities(values)).argmax(axis=1)
        yield Preparation("scale", _SCALE_NAMES.get(scale, scale), predicted)


def _geometry(pixel_classifier: PixelClassifier, material: SplitSample) -> Iterator[Preparation]:
    """Only where files have another size than the model: there is nothing to resize otherwise."""
    height, width = material.pixels.shape[1:3]
    if (material.sizes == (height, width)).all():
        return
    preprocessor = rgb_fitter(pixel_classifier.preprocessor)
    ways: dict[tuple[Setting, str], Preprocessor] = {}
    if (material.sizes[:, 0] * width != material.sizes[:, 1] * height).any():
        ways |= {("resize", option): replace(preprocessor, resize=option)  # type: ignore[arg-type]
                 for option in _RESIZES if option != preprocessor.resize}  # fmt: skip
    ways |= {("interpolation", option): replace(preprocessor, interpolation=option)
             for option in _INTERPOLATIONS
             if option in preprocessor.loader.interpolations and option != preprocessor.interpolation}  # fmt: skip
    images_by_way = _refit(material, ways)
    for (setting, value), pixels in images_by_way.items():
        yield Preparation(setting, value, pixel_classifier.predicted(pixels))


def _refit(
    material: SplitSample, ways: dict[tuple[Setting, str], Preprocessor]
) -> dict[tuple[Setting, str], ByteArray]:
    """Each file decoded once and fitted in every way."""
    images_by_way: dict[tuple[Setting, str], list[ByteArray]] = {way: [] for way in ways}
    reader = next(iter(ways.values()))
    for sample in material.samples:
        try:
            pixels = reader.decoded(read_bytes(sample)).pixels
        except (OSError, BadImage) as error:  # it could be read a moment ago
            raise AuditError(f"image {sample.id} changed while it was audited: {error}") from error
        for way, fitter in ways.items():
            images_by_way[way].append(fitter.resized(pixels))
    return {way: np.stack(images) for way, images in images_by_way.items()}


def _class_orders(material: SplitSample) -> Iterator[Preparation]:
    """The assignment of names to outputs that fits best, found on one half of the images and judged on the other.

    Kuhn 1955, Nav. Res. Logist. 2, 83-97 (the Hungarian method), on the confusion matrix; both halves take turns.
    """
    from scipy.optimize import linear_sum_assignment

    n_classes = int(max(material.labels.max(), material.predicted.max())) + 1
    half = np.zeros(len(material), bool)
    for label in np.unique(material.labels):
        half[np.flatnonzero(material.labels == label)[::2]] = True
    predicted = material.predicted.copy()
    for fit_rows in (half, ~half):
        counts = np.zeros((n_classes, n_classes))
        np.add.at(counts, (material.predicted[fit_rows], material.labels[fit_rows]), 1)
        counts += 1e-3 * np.eye(n_classes)  # where nothing is known, names stay as they are
        outputs, names = linear_sum_assignment(counts, maximize=True)
        order = np.empty(n_classes, np.int64)
        order[outputs] = names
        predicted[~fit_rows] = order[material.predicted[~fit_rows]]
    yield Preparation("class order", "the best assignment of names to outputs", predicted)
