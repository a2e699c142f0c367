"""The one door to a Keras model: probabilities, logits, gradients, features, and a count of what they cost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np

from fruitaudit.errors import AuditError, CannotExplain, ModelError, NoInputGradient
from fruitaudit.models.base import Capability
from fruitaudit.models.copies import TrainedCopy, Training
from fruitaudit.models.counter import PassCounter
from fruitaudit.models.keras import backend, draws, heads, inside, propagation, taps
from fruitaudit.models.keras.architecture import summarise
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.damage import refuse_damaged
from fruitaudit.models.keras.entrance import entrance_of
from fruitaudit.models.keras.graph_outputs import GraphOutputs
from fruitaudit.models.keras.layers import layer_records
from fruitaudit.models.keras.layers import weights as weights_of
from fruitaudit.models.keras.load import LoadedNetwork, cause_of, load_network
from fruitaudit.models.keras.memory import bytes_per_image
from fruitaudit.models.keras.outputs import restricted
from fruitaudit.models.keras.reinitialise import ReinitialisableCopy
from fruitaudit.models.keras.savedmodel import HIDES, hides_layers
from fruitaudit.models.keras.shapes import input_shape_of, keep_grouped_convolutions_apart
from fruitaudit.models.keras.training import train_copy
from fruitaudit.models.layers import Convolution, Layer, why_no_layer
from fruitaudit.models.memory import UNIT, MemoryNeeds, check_fit
from fruitaudit.models.rules import Propagated, Rules
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.explanations import Explains
from fruitaudit.records.inputs import Entrance
from fruitaudit.records.model import ModelSummary
from fruitaudit.records.passes import AroundActivation, Forward, LayerGradients
from fruitaudit.runtime.streams import Streams

Size = tuple[int, int]


def open_classifier(
    path: Path,
    *,
    allow_code: bool = False,
    batch_size: int = UNIT,
    size: Size | None = None,
    memory: int | None = None,
    outputs: tuple[int, ...] | None = None,
) -> Classifier:
    """Load a model file. `size`, `memory` and `outputs`: see `models.open.open_model`.

    Raises ModelError where the file cannot be loaded, is code that is not allowed, or is no image classifier.
    """
    loaded = load_network(path, allow_code=allow_code, memory=memory)
    try:
        classifier = Classifier(loaded.network, batch_size=batch_size, size=size, loaded=loaded, memory=memory)
        if outputs is None:
            return classifier
        note = f"audited with {len(outputs)} of its {classifier.n_classes} outputs, those that have labels"
        loaded = replace(loaded, network=restricted(loaded.network, outputs, classifier.n_classes),
                         notes=(*loaded.notes, note))  # fmt: skip
        return Classifier(loaded.network, batch_size=batch_size, size=size, loaded=loaded, memory=memory)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


class Classifier:
    """A single-label image classifier. Implements `models.base.Model`.

    Arrays go in and out as float32 NumPy; any number of images is cut into batches of `batch_size`. Weights are never
    written, dropout is off and normalization uses its stored statistics, so that an image's result does not depend
    on its neighbours. `trace` holds every layer call of one pass, with symbolic tensors; `head` where the logits are;
    `memory_needs` the memory of a pass.
    """

    offers: frozenset[Capability] = frozenset(get_args(Capability))

    def __init__(
        self,
        network: Any,
        *,
        batch_size: int = UNIT,
        size: Size | None = None,
        loaded: LoadedNetwork | None = None,
        memory: int | None = None,
    ) -> None:
        self.network = network
        self.loaded = loaded
        self.batch_size = batch_size
        self.input_shape = input_shape_of(network, size)
        refuse_damaged(network)
        keep_grouped_convolutions_apart(network)
        self.passes = PassCounter()
        self.trace, self.head, self.memory_needs = self._trace_once(memory)
        self.variation = draws.variation_of(self)
        # One compiled function per layer, traced on first use; the caches go with this object.
        self._gradient_function = cache(self._make_gradient_function)
        self._feature_function = cache(self._make_feature_function)

    @classmethod
    def from_network(cls, network: Any, batch_size: int = UNIT, size: Size | None = None) -> Classifier:
        """Wrap a Keras model that is in memory."""
        return cls(network, batch_size=batch_size, size=size)

    @property
    def n_classes(self) -> int:
        return self.head.n_classes

    @property
    def logit_source(self) -> str:
        """How the logits were found and checked, one sentence."""
        return self.head.source

    @property
    def device(self) -> str:
        return backend.device()

    @cached_property
    def sha256(self) -> str:
        """Of the file; of the weights where there is no file."""
        if self.loaded is not None:
            return self.loaded.sha256
        digest = hashlib.sha256()
        for weight in self.network.weights:
            digest.update(np.asarray(weight).tobytes())
        return digest.hexdigest()

    @cached_property
    def cam_layer(self) -> str | None:
        """The last layer with a spatial activation, before pooling or flattening."""
        return taps.cam_layer(self.trace.done)

    def probabilities(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> (N, K), rows sum to 1."""
        return self.scores(values)[0]

    def logits(self, values: FloatArray) -> FloatArray:
        """(N, H, W, C) -> (N, K), softmax(logits) == probabilities."""
        return self.scores(values)[1]

    def scores(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(probabilities, logits) of one pass, (N, K) each; of a model that draws, the mean of several draws."""
        images = self.checked(values)
        if self.variation is not None and self.variation.where == "always":
            self.passes.forward += draws.DRAWS * len(images)
            return draws.mean_scores(self.batched(self.scores_in_graph, images)[0] for _ in range(draws.DRAWS))
        probabilities, logits = self.batched(self.scores_in_graph, images)
        self.passes.forward += len(images)
        return probabilities, logits

    def gradient(
        self, values: FloatArray, classes: IntArray, explains: Explains = "logit", *, against: IntArray | None = None
    ) -> FloatArray:
        """d score[classes] / d values, (N, H, W, C), of the logit or the probability.

        With `against` that of the difference score[classes] - score[against], at the cost of one pass.
        """
        images, targets = self.checked(values), self._all_targets(classes, against, len(values))
        [gradients] = self.batched(self._gradient_function(explains, len(targets)), images, *targets)
        self.passes.gradient += len(images)
        return gradients

    def layer_gradients(
        self, values: FloatArray, classes: IntArray, layer: str, *, against: IntArray | None = None
    ) -> LayerGradients:
        """Activation of `layer` and d logit[classes] / d activation. Raises CannotExplain for an unknown layer.

        With `against` the gradient, and `scores`, are those of logit[classes] - logit[against].
        """
        return self.layer_gradients_at(values, classes, (layer,), against=against)[0]

    def layer_gradients_at(
        self, values: FloatArray, classes: IntArray, layers: tuple[str, ...], *, against: IntArray | None = None
    ) -> list[LayerGradients]:
        """See `models.base.WithLayerGradients`."""
        return inside.layer_gradients(self, values, self._all_targets(classes, against, len(values)), layers)

    def margin_gradients(
        self, values: FloatArray, classes: IntArray, explains: Explains = "logit"
    ) -> tuple[FloatArray, FloatArray]:
        """See `models.base.WithGradients`."""
        return inside.margin_gradients(self, values, self._targets(classes, len(values)), explains)

    def unit_gradients(self, values: FloatArray, convolution: Convolution | None, units: IntArray) -> FloatArray:
        """See `models.base.WithUnitGradients`."""
        return inside.unit_gradients(self, values, convolution, units)

    def forward(self, values: FloatArray, layers: tuple[str | None, ...]) -> Forward:
        """See `models.base.WithActivations`."""
        return inside.forward(self, values, layers)

    def channel_means(
        self, values: FloatArray, convolutions: Sequence[Convolution], *, magnitudes: bool = False
    ) -> Forward:
        """See `models.base.WithActivations`."""
        return inside.channel_means(self, values, convolutions, magnitudes)

    def around_activations(
        self, values: FloatArray, convolutions: Sequence[Convolution], channels: Sequence[IntArray]
    ) -> list[AroundActivation]:
        """See `models.base.WithActivations`."""
        return inside.around_activations(self, values, convolutions, channels)

    def weights(self, layer: str) -> tuple[FloatArray, FloatArray | None]:
        """See `models.base.WithWeights`."""
        call = self.trace.find(layer)
        if call is None:
            raise CannotExplain(why_no_layer(self.trace.begun, layer, self.hidden_layers))
        return weights_of(call)

    def features(self, values: FloatArray, layer: str | None = None) -> FloatArray:
        """(N, D): the input of the last dense layer, or the output of `layer`, one row per image."""
        return self.features_at(values, (layer,))[0]

    def features_at(self, values: FloatArray, layers: tuple[str | None, ...]) -> list[FloatArray]:
        """`features` of several layers from one pass."""
        images = self.checked(values)
        features = self.batched(self._feature_function(layers), images)
        self.passes.forward += len(images)
        return features

    def propagate(self, rules: Rules, values: FloatArray, weights: FloatArray) -> Propagated:
        """See `models.base.WithBackwardRules`."""
        return propagation.propagate(self, rules, self.checked(values), weights)

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers in the order in which they answer."""
        return layer_records(self.trace)

    @property
    def hidden_layers(self) -> str:
        """Why layers cannot be seen and what to do; "" where they can."""
        return HIDES if hides_layers(self.trace.done) else ""

    @property
    def weighted_layers(self) -> int:
        """How many of its layers have weights, whatever they are called in."""
        return len({id(call.layer) for call in self.trace.done if call.weighted})

    def reinitialisable(self, streams: Streams) -> ReinitialisableCopy:
        """See `models.base.WithCopies`."""
        return ReinitialisableCopy(self, streams)

    def train_copy(
        self,
        values: FloatArray,
        labels: IntArray,
        training: Training,
        streams: Streams,
        order: np.random.Generator,
        advance: Callable[[int], None],
    ) -> TrainedCopy:
        """See `models.base.WithCopies`."""
        return train_copy(self, self.checked(values), labels, training, streams, order, advance)

    def summary(self, class_names: tuple[str, ...], class_names_from: str) -> ModelSummary:
        """All that is known of it before an image is shown to it."""
        return summarise(self, class_names=class_names, class_names_from=class_names_from)

    def entrance(self) -> Entrance | None:
        """See `models.base.WithScores`."""
        return entrance_of(self)

    def in_graph(self, images: Any) -> GraphOutputs:
        """The network on a (N, H, W, C) float32 tensor, as part of somebody's `tf.function`: nothing is counted."""
        with taps.recorded() as trace, taps.unfolded():
            probabilities, logits = self.head.read(self.network(images, training=False))
        return GraphOutputs(probabilities, logits, trace)

    @cached_property
    def scores_in_graph(self) -> Callable[..., Any]:
        """Compiled: images -> (probabilities, logits) of one draw. Nothing is counted."""
        return self.compiled(lambda images: self.head.read(self.network(images, training=False)))

    def _make_gradient_function(self, explains: Explains, n_targets: int) -> Callable[..., Any]:
        def run(images: Any, *targets: Any) -> Any:
            scores = self.head.read(self.network(images, training=False))[explains == "logit"]
            [gradient] = tf.gradients(_target_score(scores, targets), images)
            if gradient is None:
                raise NoInputGradient
            return (gradient,)

        return self.compiled(run, n_targets)

    def _trace_once(self, memory: int | None) -> tuple[taps.Trace, heads.Head, MemoryNeeds]:
        """Trace the network once: its layers, where its logits are, and its memory, which must fit before any pass."""

        def run(images: Any) -> Any:
            with taps.recorded() as trace:
                output = heads.only_output(self.network(images, training=False))
            operation, inner = heads.output_operation(output)
            traces.append((trace, operation, bytes_per_image(images, output)))
            return output, inner

        traces: list[tuple[taps.Trace, heads.OutputOperation, int]] = []
        compiled = self.compiled(run)
        with _as_sentence():
            compiled.get_concrete_function()
        trace, operation, size_of_image = traces[-1]
        needs = MemoryNeeds(size_of_image, sum(int(np.prod(w.shape)) * 4 for w in self.network.weights))
        check_fit(needs, memory)
        with _as_sentence():
            output, inner = heads.on_probe(compiled, self.input_shape, size_of_image)
        return trace, heads.choose_head(operation, output, inner), needs

    def _make_feature_function(self, layers: tuple[str | None, ...]) -> Callable[..., Any]:
        def run(images: Any) -> Any:
            outputs = self.in_graph(images)
            tensors = (taps.last_dense_input(outputs.trace) if path is None else outputs.layer(path) for path in layers)
            return tuple(tf.reshape(tf.cast(t, tf.float32), (tf.shape(images)[0], -1)) for t in tensors)

        return self.compiled(run)

    def compiled(self, function: Callable[..., Any], n_targets: int = 0) -> Any:
        """`function` of images and of `n_targets` classes per image."""
        signature = [tf.TensorSpec((None, *self.input_shape), tf.float32)]
        signature += n_targets * [tf.TensorSpec((None,), tf.int64)]
        # No jit: XLA halves the forward speed and quarters the gradient's on a CPU.
        return tf.function(function, input_signature=signature, autograph=False, jit_compile=False)

    def batched(self, function: Callable[..., Any], *arrays: Any) -> list[FloatArray]:
        """Call a compiled function batch by batch and join what it returns."""
        if not len(arrays[0]):
            # TensorFlow refuses convolutions of no image on some processors: the shapes are those of one.
            one = self.batched(function, *(np.zeros((1, *a.shape[1:]), a.dtype) for a in arrays))
            return [part[:0] for part in one]
        starts = range(0, len(arrays[0]), self.batch_size)
        parts = [[_array(t) for t in function(*(a[i : i + self.batch_size] for a in arrays))] for i in starts]
        return [p[0] if len(p) == 1 else np.concatenate(p) for p in zip(*parts, strict=True)]

    def checked(self, values: FloatArray) -> FloatArray:
        """The images as they go in. Raises ModelError for any other shape."""
        if values.ndim != 4 or values.shape[1:] != self.input_shape:
            expected = " x ".join(map(str, self.input_shape))
            raise ModelError(f"the model takes images of {expected} (height, width, channels) in one array, "
                             f"not an array of shape {values.shape}")  # fmt: skip
        return np.ascontiguousarray(values, dtype=np.float32)

    def _all_targets(self, classes: IntArray, against: IntArray | None, n_images: int) -> list[IntArray]:
        return [self._targets(indices, n_images) for indices in (classes, against) if indices is not None]

    def _targets(self, classes: IntArray, n_images: int) -> IntArray:
        targets = np.asarray(classes, dtype=np.int64)
        if targets.shape != (n_images,) or (n_images and not 0 <= targets.min() <= targets.max() < self.n_classes):
            raise ModelError(f"{n_images} images need {n_images} classes between 0 and {self.n_classes - 1}, "
                             f"not {targets.tolist()[:8]}")  # fmt: skip
        return targets


@contextmanager
def _as_sentence() -> Iterator[None]:
    """Layers raise whatever they raise when they are called; each of it means that this network cannot be used."""
    try:
        yield
    except (AuditError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(f"the model cannot be called on an image ({cause_of(error)}); save it again with "
                         "model.save('model.keras')") from error  # fmt: skip


def _target_score(scores: Any, targets: tuple[Any, ...]) -> Any:
    """In a graph: the score of each image's class, less that of its rival where there is one, (N,)."""
    score, *rival = (tf.gather(scores, classes, batch_dims=1) for classes in targets)
    return score - rival[0] if rival else score


def _array(tensor: Any) -> FloatArray:
    """Pictures and maps stay TensorFlow's own memory, read-only; numbers are few, and the caller's own."""
    return np.asarray(tensor) if tensor.shape.rank > 2 else tensor.numpy()
