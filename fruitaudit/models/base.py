"""What a model may offer, in parts. A method says what it needs, a model what it offers, and one sentence refuses.

Nothing outside of a backend's own folder asks which backend a model has. All arrays are NumPy, float32, and any number
of images is allowed. What a model returns is not to be written to: it may be the backend's own memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np

from fruitaudit.errors import CannotExplain
from fruitaudit.models.copies import Reinitialisable, TrainedCopy, Training
from fruitaudit.models.counter import PassCounter
from fruitaudit.models.layers import Convolution, Layer
from fruitaudit.models.memory import MemoryNeeds
from fruitaudit.models.rules import Propagated, Rules
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.explanations import Explains
from fruitaudit.records.inputs import Entrance
from fruitaudit.records.model import ModelSummary
from fruitaudit.records.passes import AroundActivation, Forward, LayerGradients
from fruitaudit.runtime.streams import Streams

Shape = tuple[int, int, int]

Capability = Literal[
    "scores", "gradients", "activations", "layer_gradients", "unit_gradients", "weights", "backward_rules", "copies",
    "keras_network",
]  # fmt: skip
"""A part of the protocol: `WithScores`, `WithGradients`, ... in the order in which they stand below."""


class WithScores(Protocol):
    """The least that a model is: probabilities and logits of images, and a count of what they cost."""

    batch_size: int
    """How many images a pass takes at once; larger arrays are cut into batches by the model."""

    @property
    def offers(self) -> frozenset[Capability]:
        """The parts of the protocol that this model implements."""
        ...

    @property
    def input_shape(self) -> Shape: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def memory_needs(self) -> MemoryNeeds: ...
    @property
    def passes(self) -> PassCounter:
        """The passes so far."""
        ...

    @property
    def sha256(self) -> str:
        """Of the file; of the weights where there is no file."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, e.g. "CPU, 2 cores"."""
        ...

    def summary(self, class_names: tuple[str, ...], class_names_from: str) -> ModelSummary:
        """All that is known of it before an image is shown to it."""
        ...

    def entrance(self) -> Entrance | None:
        """What the file itself does to pixels before its first trained layer; None where that cannot be seen."""
        ...

    def scores(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(probabilities, logits) of one pass, (N, K) each."""
        ...

    def probabilities(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> (N, K), rows sum to 1."""
        ...

    def logits(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> (N, K), softmax(logits) == probabilities."""
        ...


class WithGradients(WithScores, Protocol):
    """Gradients of scores with respect to the image."""

    def gradient(
        self, values: FloatArray, classes: IntArray, explains: Explains = "logit", *, against: IntArray | None = None
    ) -> FloatArray:
        """d score[classes] / d values, (N, H, W, C); with `against` of score[classes] - score[against]."""
        ...

    def margin_gradients(
        self, values: FloatArray, classes: IntArray, explains: Explains = "logit"
    ) -> tuple[FloatArray, FloatArray]:
        """(N, K) scores, and (N, H, W, C) d (score[classes] - largest other score) / d values, from one pass.

        Raises NoGradient where none reaches the input.
        """
        ...


class WithActivations(WithScores, Protocol):
    """The activations of its layers."""

    @property
    def cam_layer(self) -> str | None:
        """The last layer with a spatial activation: the default of the CAM methods."""
        ...

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers in the order in which they return."""
        ...

    @property
    def hidden_layers(self) -> str:
        """Why layers cannot be seen and what to do, the end of a refusal; "" where they can."""
        ...

    def forward(self, values: FloatArray, layers: tuple[str | None, ...]) -> Forward:
        """Scores and the outputs of these layers, in their own shape, from one pass; None is as in `features`."""
        ...

    def channel_means(
        self, values: FloatArray, convolutions: Sequence[Convolution], *, magnitudes: bool = False
    ) -> Forward:
        """Scores, and for each convolution the mean of each output channel, (N, K), or of its magnitude."""
        ...

    def around_activations(
        self, values: FloatArray, convolutions: Sequence[Convolution], channels: Sequence[IntArray]
    ) -> list[AroundActivation]:
        """What enters the activation function of each convolution and what comes out, of these channels of each."""
        ...

    def features(self, values: FloatArray, layer: str | None = None) -> FloatArray:
        """(N, D) the input of the last dense layer, or the output of `layer`, one row per image.

        Raises CannotExplain where the layers are hidden or `layer` is unknown.
        """
        ...

    def features_at(self, values: FloatArray, layers: tuple[str | None, ...]) -> list[FloatArray]:
        """`features` of several layers from one pass."""
        ...


class WithLayerGradients(WithActivations, Protocol):
    """Gradients of scores with respect to the output of a layer."""

    def layer_gradients(
        self, values: FloatArray, classes: IntArray, layer: str, *, against: IntArray | None = None
    ) -> LayerGradients:
        """Activation of `layer` and d logit[classes] / d activation; with `against` of the difference of two logits.

        Raises CannotExplain for an unknown layer.
        """
        ...

    def layer_gradients_at(
        self, values: FloatArray, classes: IntArray, layers: tuple[str, ...], *, against: IntArray | None = None
    ) -> list[LayerGradients]:
        """`layer_gradients` of several layers from one pass. Raises NoGradient where one has none."""
        ...


class WithUnitGradients(WithActivations, Protocol):
    """Gradients of single filters and classes with respect to the image."""

    def unit_gradients(self, values: FloatArray, convolution: Convolution | None, units: IntArray) -> FloatArray:
        """(N, H, W, C) d response of unit n / d image n; without a convolution the units are the logits.

        The response of a filter is its mean activation; where that is not above 0, the mean input of its
        activation function. Raises NoGradient where none reaches the input.
        """
        ...


class WithBackwardRules(WithScores, Protocol):
    """A way back through its operations that goes by rules of a method's own."""

    def propagate(self, rules: Rules, values: FloatArray, weights: FloatArray) -> Propagated:
        """What arrives at the images (N, H, W, C) from their logits, each counted by its weight (N, K).

        Raises CannotExplain with the operations of the model that have no rule.
        """
        ...


class WithWeights(WithActivations, Protocol):
    """What its layers have learned."""

    def weights(self, layer: str) -> tuple[FloatArray, FloatArray | None]:
        """Kernel, whose last axis counts the outputs, and bias (outputs,) of a dense layer or a convolution."""
        ...


class WithCopies(WithScores, Protocol):
    """Copies of the network with other weights; its own are never written to."""

    @property
    def weighted_layers(self) -> int:
        """How many of its layers have weights."""
        ...

    def reinitialisable(self, streams: Streams) -> Reinitialisable:
        """A copy whose layers can be reinitialised, each by its own initializers with seeds from `streams`.

        Raises CannotExplain where the network cannot be copied, or a layer cannot tell how it was initialized.
        """
        ...

    def train_copy(
        self,
        values: FloatArray,
        labels: IntArray,
        training: Training,
        streams: Streams,
        order: np.random.Generator,
        advance: Callable[[int], None],
    ) -> TrainedCopy:
        """A copy, reinitialised and trained on images (N, H, W, C) with labels (N,), shuffled by `order`.

        `advance` is called with 1 after each epoch. Raises CannotExplain as `reinitialisable` does.
        """
        ...


class Model(WithGradients, WithLayerGradients, WithUnitGradients, WithWeights, WithBackwardRules, WithCopies, Protocol):
    """Every part. A method may use those that its registration names under `needs`: `explain` sees to it."""

    @property
    def network(self) -> Any:
        """The Keras model itself, for libraries that take nothing else."""
        ...


class Autoencoder(Protocol):
    """Reconstructs images: those near the training images change little."""

    network: Any
    """The network itself, for libraries that take nothing else."""

    def reconstructions(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> their reconstructions. Raises ValueError where it takes other images."""
        ...

    def misfit_gradients(self, values: FloatArray, span: FloatArray) -> FloatArray:
        """(N, H, W, C) d |(AE(z) - z) / span|_2^2 / dz, span (C,)."""
        ...


_IN_WORDS: dict[Capability, str] = {
    "scores": "scores",
    "gradients": "gradients with respect to the image",
    "activations": "the activations of layers",
    "layer_gradients": "gradients with respect to a layer",
    "unit_gradients": "gradients of the units of a layer",
    "weights": "the weights of layers",
    "backward_rules": "rules for the way back through its operations",
    "copies": "copies of its network",
    "keras_network": "the Keras network itself",
}


def lacking(model: WithScores, parts: Iterable[Capability]) -> str:
    """What a model does not offer of these parts, in words; empty where it offers all of them."""
    return " and ".join(_IN_WORDS[part] for part in parts if part not in model.offers)


def offering(model: WithScores, *parts: Capability) -> Model:
    """The same model, with these parts in view. Raises CannotExplain where it does not offer them."""
    if missing := lacking(model, parts):
        raise CannotExplain(f"this model does not offer {missing}")
    return cast("Model", model)
