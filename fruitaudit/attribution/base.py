"""What a method is: a frozen dataclass of options that turns images into an `Explanation`.

A file of this package that defines `METHODS`, a tuple of `Method` classes, is found by `registry`: a new method is one
file here and one test file. Nothing in these files imports a library at module level; the model is reached only
through the parts of `models.base.Model` that the registration names under `needs`.

Options are the fields of the dataclass, their type and range in its annotation. `OPTIONS` makes pydantic check them
whenever a method is made, by a config or by hand: `SmoothGrad(samples=0)` is an error.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import ConfigDict

from fruitaudit.models.base import Capability, WithScores
from fruitaudit.models.base import Model as Model
from fruitaudit.models.base import Shape as Shape
from fruitaudit.models.layers import Layer as Layer
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Channels, Explains, Explanation, Targets
from fruitaudit.records.passes import LayerGradients as LayerGradients
from fruitaudit.records.passes import Passes as Passes
from fruitaudit.runtime.streams import Streams

Family = Literal["inside", "gradient", "backward", "cam", "perturbation", "counterfactual", "example", "control"]


class Another(Enum):
    """A value that only the model at hand can fill in."""

    LAYER = "another layer"


SPATIAL = "a layer with a spatial activation"
CONVOLUTION = "a convolution"
POOLING_HEAD = "a head of global average pooling and one dense layer"
VISIBLE_LAYERS = "layers that can be seen"
ONLY_RELUS = "no other nonlinearities than maxima and ReLUs"
LRP_RULES = "a first layer that sees a part of the image, and operations that relevance has rules for"

INCOMPLETE = 0.05
"""Largest relative error at which maps that promise to add up to a score are taken as they are."""


@dataclass(frozen=True)
class Diagnostic:
    """A number that a method reports for each of its results, with limits and a remedy."""

    name: str
    """Its key in `Explanation.diagnostics`."""
    title: str
    poor: float | None = None
    """From here on the result is not to be taken as it is; None: it only informs."""
    bad: float | None = None
    """From here on it is worth nothing."""
    higher_is_better: bool = False
    is_share: bool = False
    """Whether it is printed as a percentage."""
    slug: str = ""
    """Of the finding about poor results; the sentence is "3 of 8 <method> maps <fault>."."""
    fault: str = ""
    measured: str = "{value:.2f}"
    """The evidence for it, a format of `value` and `percent`."""
    remedy: str = ""

    def is_poor(self, value: float) -> bool:
        """Whether a value is beyond the first limit; one that is not finite is."""
        if self.poor is None:
            return False
        return not (value >= self.poor if self.higher_is_better else value <= self.poor)

    def is_bad(self, value: float) -> bool:
        """Whether a value is beyond the second limit."""
        return self.bad is not None and (value < self.bad if self.higher_is_better else value > self.bad)


def completeness_error(remedy: str) -> Diagnostic:
    """Of maps that approach the score that they account for as more is computed."""
    return Diagnostic(
        "completeness_error", "completeness error", INCOMPLETE, 0.20, is_share=True, slug="incomplete-attribution",
        fault=f"miss more than {100 * INCOMPLETE:.0f} % of the score they should account for",
        measured="relative completeness error {value:.2f}", remedy=remedy,
    )  # fmt: skip


def rounding_error(name: str, remedy: str) -> Diagnostic:
    """Of maps that share out a score exactly, but for rounding."""
    rounding = 0.01
    return Diagnostic(
        name, name.replace("_", " "), rounding, 0.05, is_share=True, slug="lost-attribution",
        fault=f"do not add up to the score that they share out, by more than {100 * rounding:.0f} %",
        measured="off by {percent:.1f} %", remedy=remedy,
    )  # fmt: skip


SCORE_DIFFERENCE = Diagnostic("score_difference", "score difference")
"""What the maps should add up to."""


OPTIONS = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Sum:
    """What attributions add up to: the score explained, less the score of something, within a share of that."""

    less: Literal["nothing", "black", "hidden", "background"]
    """"hidden": the image with every part hidden; "background": the mean over the reference images."""
    within: float | None = 1e-3
    """What rounding makes of it; None where it is only neared, with the steps or samples taken."""


@dataclass(frozen=True)
class Registration:
    """All that the config, the command line, the report and the documentation say about a method."""

    name: str
    title: str
    family: Family
    question: str
    """What a lay reader learns from the map, one sentence: printed above the panels."""
    paper: str
    explains: Explains
    channels: Channels
    signed: bool
    """Whether negative values mean evidence against; an unsigned map is drawn from 0 up."""
    needs: tuple[Capability, ...]
    """The parts of the model that it uses: where one is missing it is NotRun, in one sentence."""
    cost: str
    """Model passes per image, as a formula in the method's options."""
    requires: tuple[str, ...] = ()
    """What the network must have, such as `SPATIAL`: where it has it not, the method is NotRun, in one sentence."""
    upper_bound: bool = False
    """Whether the passes announced are the most that there may be."""
    sensitivity_options: tuple[tuple[str, Any], ...] = ()
    """Another valid value of each option that changes the map: `trust` tries each one on the user's model."""
    contract_options: tuple[tuple[str, Any], ...] = ()
    """What the contract test tries besides or instead: options that change no map of an image, layers by name."""
    diagnostics: tuple[Diagnostic, ...] = ()
    """The numbers that it reports for its own results."""
    provider: str = "native"
    package: str = ""
    """The distribution that must be installed, where the method needs a library of its own."""
    caveat: str = ""
    """What this provider gets wrong, one sentence with its measured figure: printed wherever its maps are."""
    contrast: bool = False
    """Whether it can explain why one class rather than another: `Targets.against`. Where not, it is NotRun."""
    unit_power: int = 0
    """The power of the model input's unit that the map is per: 1 for a gradient, 2 for its variance, 0 for neither."""
    linear: bool = False
    """Whether its map is linear in the score: the map of A rather than B is then that of A less that of B."""
    adds_up: Sum | None = None
    """What its attributions promise to add up to, if anything."""
    quick_options: tuple[tuple[str, Any], ...] = ()
    """Options with which it is quick and still keeps its contract: those of the tests over all methods."""
    subject: Literal["image", "model"] = "image"
    """"model": runs once per audit, on no image; reference images lie in `images.background`, targets are empty."""


class Method(Protocol):
    """A method with its options set; options are the dataclass fields."""

    registration: ClassVar[Registration]

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Explanation:
        """Explain `targets` on `images`. Raises CannotExplain where the method does not apply to this model."""
        ...

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        """What it must cost on images of this (H, W, C), for progress, plan and benchmark."""
        ...


@runtime_checkable
class ComparesWithReferences(Protocol):
    """A method that wants images that the model knows."""

    @property
    def background_size(self) -> int:
        """How many reference images it wants in `images.background`."""
        ...


@runtime_checkable
class CostsByModel(Protocol):
    """A method whose cost depends on more than the size of the images, such as on the channels of a layer.

    Its `model_passes` is then what it costs at least.
    """

    def passes_on(self, model: WithScores, n_images: int) -> Passes:
        """What it must cost on this model."""
        ...


@runtime_checkable
class CostsByImages(Protocol):
    """A method that may cost less than `model_passes`, which depends on the images."""

    def least_passes(self, n_images: int, input_shape: Shape) -> Passes:
        """What it costs at the least."""
        ...


def background_of(method: Method) -> int:
    """How many reference images a method wants in `images.background`."""
    return method.background_size if isinstance(method, ComparesWithReferences) else 0


def passes_of(method: Method, model: WithScores, n_images: int) -> Passes:
    """What a method must cost on this model."""
    if isinstance(method, CostsByModel):
        return method.passes_on(model, n_images)
    return method.model_passes(n_images, model.input_shape)


def least_passes_of(method: Method, model: WithScores, n_images: int) -> Passes:
    """What a method costs at the least."""
    if isinstance(method, CostsByImages):
        return method.least_passes(n_images, model.input_shape)
    return passes_of(method, model, n_images)


def reduce_channels(values: FloatArray, how: Channels) -> FloatArray:
    """(..., H, W, C) -> (..., H, W): "sum" keeps sign and total, "l2" and "maxabs" are magnitudes (>= 0)."""
    # Channel by channel: NumPy's own reduction of so short an axis takes twenty times as long.
    channels = np.moveaxis(values, -1, 0)
    if how == "sum":
        return functools.reduce(np.add, channels)
    if how == "l2":
        return functools.reduce(np.add, channels**2) ** 0.5
    if how == "maxabs":
        return functools.reduce(np.maximum, abs(channels))
    raise ValueError(f"no such reduction: {how}")
