"""Controls that must lose: maps that know nothing of the model."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


def random_maps(images: Images, streams: Streams) -> FloatArray:
    """(N, H, W) independent uniform noise per pixel, 0..1, drawn by sample id."""
    shape = images.values.shape[1:3]
    return np.stack([streams.rng("trust", "random", i).random(shape, np.float32) for i in images.sample_ids])


def sobel(images: Images) -> FloatArray:
    """(N, H, W) magnitude of the Sobel gradient of the grey image in 0..1."""
    import cv2

    def edges(grey: FloatArray) -> FloatArray:
        return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))

    return np.stack([edges(np.ascontiguousarray(grey)) for grey in images.unit().mean(axis=-1)]).astype(np.float32)


def intensity(images: Images) -> FloatArray:
    """(N, H, W) distance of each pixel's colour in 0..1 from the mean colour of its image: what is bright or dark."""
    unit = images.unit()
    return np.linalg.norm(unit - unit.mean(axis=(1, 2), keepdims=True), axis=-1).astype(np.float32)


def centre(images: Images) -> FloatArray:
    """(N, H, W) a Gaussian in the middle, a quarter of each side as standard deviation: where photographers aim."""
    height, width = images.values.shape[1:3]
    y, x = ((np.arange(side) - (side - 1) / 2) / (side / 4) for side in (height, width))
    bump = np.exp(-(y[:, None] ** 2 + x[None] ** 2) / 2).astype(np.float32)
    return np.repeat(bump[None], len(images), axis=0)


def _registration(name: str, title: str, question: str, paper: str) -> Registration:
    return Registration(
        name=name,
        title=title,
        family="control",
        question=question,
        paper=paper,
        explains="probability",
        channels="none",
        signed=False,
        needs=(),
        cost="no pass",
        contrast=True,
        caveat="a control that knows nothing of the model: a method that does no better has told nothing about it",
    )


class _Control:
    """What the controls share: no option, no pass through the model."""

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes()


@dataclass(frozen=True, config=OPTIONS)
class ControlRandom(_Control):
    """Uniform noise.

    Paper: Hooker, Erhan, Kindermans, Kim 2019, arXiv:1806.10758, sec. 3.2 holds methods against a random map.
    Differs from the paper: nothing.
    Returns maps (N, H, W), 0..1, of no unit.
    """

    registration: ClassVar[Registration] = _registration(
        "control_random",
        "Control: random",
        "What does a map look like that was drawn at random?",
        "Hooker et al. 2019, arXiv:1806.10758",
    )

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return Maps(random_maps(images, streams))


@dataclass(frozen=True, config=OPTIONS)
class ControlEdges(_Control):
    """The edges of the image, by the Sobel filter.

    Paper: Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, arXiv:1810.03292, sec. 1 and fig. 1: an edge detector
    can look like an explanation; Hooker et al. 2019, arXiv:1806.10758 hold methods against the Sobel filter.
    Differs from the paper: nothing.
    Returns maps (N, H, W), >= 0, in difference of brightness.
    """

    registration: ClassVar[Registration] = _registration(
        "control_edges",
        "Control: edges",
        "Where are the edges of the picture, whatever the model looks at?",
        "Adebayo et al. 2018, arXiv:1810.03292",
    )

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return Maps(sobel(images))


@dataclass(frozen=True, config=OPTIONS)
class ControlIntensity(_Control):
    """How far each pixel's colour is from the mean colour of its image.

    Paper: none; the idea of controls that see only the image is that of Adebayo et al. 2018, arXiv:1810.03292.
    Differs from the paper: another function of the image.
    Returns maps (N, H, W), >= 0, in distance of colours.
    """

    registration: ClassVar[Registration] = _registration(
        "control_intensity",
        "Control: intensity",
        "Which pixels stand out by their colour, whatever the model looks at?",
        "after Adebayo et al. 2018, arXiv:1810.03292",
    )

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return Maps(intensity(images))


@dataclass(frozen=True, config=OPTIONS)
class ControlCenter(_Control):
    """A Gaussian in the middle of the image.

    Paper: Zhang, Lin, Brandt, Shen, Sclaroff 2016, arXiv:1608.00507, sec. 4.1: the pointing game is held against the
    centre of the image.
    Differs from the paper: a Gaussian around the centre instead of a point.
    Returns maps (N, H, W), 0..1, of no unit.
    """

    registration: ClassVar[Registration] = _registration(
        "control_center",
        "Control: centre",
        "Where is the middle of the picture, where photographers put things?",
        "Zhang et al. 2016, arXiv:1608.00507",
    )

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return Maps(centre(images))


METHODS = (ControlRandom, ControlEdges, ControlIntensity, ControlCenter)
