"""What a method is: a frozen dataclass of options that turns images into an `Explanation`.

A file of this package that defines `METHODS`, a tuple of `Method` classes, is found by `registry`: a new method is one
file here and one test file. Nothing in these files imports TensorFlow or a library at module level; the model is
reached only through `Model`, the part of `models.classifier.Classifier` that methods need.

Options are the fields of the dataclass, their type and range in its annotation. `OPTIONS` makes pydantic check them
whenever a method is made, by a config or by hand: `SmoothGrad(samples=0)` is an error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import ConfigDict

from fruitaudit.models.counter import PassCounter
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Channels, Explains, Explanation, Targets
from fruitaudit.records.passes import LayerGradients as LayerGradients
from fruitaudit.records.passes import Passes as Passes
from fruitaudit.runtime import Streams

Family = Literal["inside", "gradient", "backward", "cam", "perturbation", "counterfactual", "example", "control"]
Shape = tuple[int, int, int]


class Another(Enum):
    """A value that only the model at hand can fill in."""

    LAYER = "another layer"


OPTIONS = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


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
    cost: str
    """Model passes an image, as a formula in the method's options."""
    needs: str = ""
    """What a model must have, e.g. "a layer with a spatial activation"."""
    upper_bound: bool = False
    """Whether the passes announced are the most that there may be."""
    sensitivity_options: tuple[tuple[str, Any], ...] = ()
    """Another valid value of each option that changes the map: `trust` tries each one on the user's model."""
    contract_options: tuple[tuple[str, Any], ...] = ()
    """What the contract test tries besides or instead: options that change no map of an image, layers by name."""
    provider: str = "native"
    package: str = ""
    """The distribution that must be installed, where the method needs a library of its own."""
    caveat: str = ""
    """What this provider gets wrong, one sentence with its measured figure: printed wherever its maps are."""
    contrast: bool = False
    """Whether it can explain why one class rather than another: `Targets.against`. Where not, it is NotRun."""
    subject: Literal["image", "model"] = "image"
    """"model": runs once an audit, on no image; reference images lie in `images.background`, targets are empty."""


class Model(Protocol):
    """The door to the classifier. All arrays are NumPy, float32, and any N is allowed.

    Gradients and activations are not to be written to: they may be TensorFlow's own memory.
    """

    @property
    def input_shape(self) -> Shape: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def batch_size(self) -> int:
        """How many images a compiled pass takes at once; larger arrays are cut into batches by the model."""
        ...

    @property
    def cam_layer(self) -> str | None:
        """The last layer with a spatial activation: the default of the CAM methods."""
        ...

    def probabilities(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> (N, K), rows sum to 1."""
        ...

    def logits(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> (N, K), softmax(logits) == probabilities."""
        ...

    def gradient(
        self, values: FloatArray, classes: IntArray, explains: Explains = "logit", *, against: IntArray | None = None
    ) -> FloatArray:
        """d score[classes] / d values, (N, H, W, C); with `against` of score[classes] - score[against]."""
        ...

    def layer_gradients(
        self, values: FloatArray, classes: IntArray, layer: str, *, against: IntArray | None = None
    ) -> LayerGradients:
        """Activation of `layer` and d logit[classes] / d activation; with `against` of the difference of two logits.

        Raises CannotExplain for an unknown layer.
        """
        ...

    def features(self, values: FloatArray, layer: str | None = None) -> FloatArray:
        """(N, D) what the last dense layer sees, or the output of `layer`, each image's numbers in one row.

        Raises CannotExplain where the layers are hidden or `layer` is unknown.
        """
        ...

    def features_at(self, values: FloatArray, layers: tuple[str | None, ...]) -> list[FloatArray]:
        """`features` of several layers from one pass."""
        ...

    @property
    def passes(self) -> PassCounter:
        """What was computed so far; whoever calls `in_graph` adds what its own function computes."""
        ...

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers in the order in which they answer."""
        ...

    def in_graph(self, images: Any) -> InGraph:
        """The network on a (N, H, W, C) float32 tensor, as part of somebody's `tf.function`: nothing is counted."""
        ...


class Layer(Protocol):
    """One layer of the network, nested ones included, as it is called in a pass."""

    layer: Any
    """The Keras object: weights, activation, configuration."""
    path: str
    """Its name below the model, e.g. "mobilenet/Conv_1": what `InGraph.layer` and `layer_gradients` take."""
    inputs: list[Any]
    """The symbolic tensors it got, and below the one it gave (None: several): who feeds whom is told by identity."""
    output: Any

    @property
    def kind(self) -> str:
        """Its class, e.g. "Conv2D"."""
        ...

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of the output, without the batch axis; () where there are several outputs."""
        ...


class InGraph(Protocol):
    """Symbolic tensors of one call of the network."""

    @property
    def probabilities(self) -> Any: ...
    @property
    def logits(self) -> Any: ...
    def layer(self, path: str) -> Any:
        """The output of a layer, in its own type. Raises CannotExplain for an unknown one."""
        ...

    def input(self, path: str) -> Any:
        """What a layer got, the first of several. Raises CannotExplain for an unknown one."""
        ...


class Method(Protocol):
    """A method with its options set; options are the dataclass fields."""

    registration: ClassVar[Registration]

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Explanation:
        """Explain `targets` on `images`. Raises CannotExplain where the method does not apply to this model."""
        ...

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        """What it must cost on images of this (H, W, C), for progress, plan and benchmark."""
        ...


def background_of(method: Method) -> int:
    """How many reference images a method wants in `images.background`: its property `background_size`, else none."""
    return int(getattr(method, "background_size", 0))


def passes_of(method: Method, model: Model, n_images: int) -> Passes:
    """What a method must cost on this model.

    A method whose cost depends on more than the size of the images, such as on the number of channels of a layer, has
    `passes_on(model, n_images)`; its `model_passes` is then what it costs at least.
    """
    on_model: Callable[[Model, int], Passes] | None = getattr(method, "passes_on", None)
    return on_model(model, n_images) if on_model else method.model_passes(n_images, model.input_shape)


def least_passes_of(method: Method, model: Model, n_images: int) -> Passes:
    """What a method costs at the least, where it says so in `least_passes`; else what `passes_of` says."""
    least: Callable[[int, Shape], Passes] | None = getattr(method, "least_passes", None)
    return least(n_images, model.input_shape) if least else passes_of(method, model, n_images)


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
