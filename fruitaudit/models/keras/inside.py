"""Activations and gradients inside the network and at its input, as functions of arrays, each compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fruitaudit.errors import NoGradient, NoInputGradient
from fruitaudit.models.keras import taps
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.graphs import compiled, image_spec
from fruitaudit.models.layers import Convolution
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.explanations import Explains
from fruitaudit.records.passes import AroundActivation, Forward, LayerGradients

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier
    from fruitaudit.models.keras.graph_outputs import GraphOutputs

_ONE_OPERATION = {"Relu", "Relu6", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"}
"""Activation functions whose input is there in the graph, and need not be computed once more."""
_NEVER_NEGATIVE = {"Relu", "Relu6", "Sigmoid", "Softplus"}


def forward(model: Classifier, values: FloatArray, layers: tuple[str | None, ...]) -> Forward:
    """Scores, and the outputs of the layers; None stands for the input of the last dense layer."""

    def run(classifier: Classifier, images: Any) -> Any:
        outputs = classifier.in_graph(images)
        tensors = (taps.last_dense_input(outputs.trace) if path is None else outputs.layer(path) for path in layers)
        return outputs.probabilities, outputs.logits, *(tf.cast(t, tf.float32) for t in tensors)

    return Forward.of(*_run_forward(model, ("forward", *layers), run, values))


def channel_means(
    model: Classifier, values: FloatArray, convolutions: Sequence[Convolution], magnitudes: bool
) -> Forward:
    """Scores, and (N, K) the mean over places of each channel, or of its magnitude."""

    def run(classifier: Classifier, images: Any) -> Any:
        outputs, means = classifier.in_graph(images), []
        for convolution in convolutions:
            after = _around(outputs, convolution)[1]
            # To drop a sign takes a quarter of the time, and most functions leave none.
            signed = magnitudes and after.op.type not in _NEVER_NEGATIVE
            means.append(tf.reduce_mean(tf.abs(after) if signed else after, axis=(1, 2)))
        return outputs.probabilities, outputs.logits, *means

    return Forward.of(*_run_forward(model, ("channel means", magnitudes, *convolutions), run, values))


def around_activations(
    model: Classifier, values: FloatArray, convolutions: Sequence[Convolution], channels: Sequence[IntArray]
) -> list[AroundActivation]:
    """What enters the activation function of each convolution and what comes out, of these channels."""

    def run(classifier: Classifier, images: Any, *channels: Any) -> Any:
        outputs, tensors = classifier.in_graph(images), []
        for convolution, indices in zip(convolutions, channels, strict=True):
            tensors += _channels_around(outputs, convolution, indices, tf.zeros(tf.shape(images)[:1]))
        return tensors

    signature = [image_spec(model), *(tf.TensorSpec((None,), tf.int64) for _ in channels)]
    graph = compiled(model, ("around activations", *convolutions), run, *signature)
    arrays = model.batched(lambda images: graph(images, *channels), model.checked(values))
    model.passes.forward += len(values)
    return [AroundActivation(arrays[i], arrays[i + 1], float(arrays[i + 2].max())) for i in range(0, len(arrays), 3)]


def unit_gradients(
    model: Classifier, values: FloatArray, convolution: Convolution | None, units: IntArray
) -> FloatArray:
    """(N, H, W, C) d response of unit n / d image n, see `models.base.WithUnitGradients`."""

    def run(classifier: Classifier, images: Any, units: Any) -> Any:
        outputs = classifier.in_graph(images)

        def unit_response(responses: Any) -> Any:
            return tf.reduce_sum(responses * tf.one_hot(units, tf.shape(responses)[1]), axis=1)

        if convolution is None:
            return [_input_gradient(unit_response(outputs.logits), images)]
        before, after = _around(outputs, convolution)
        if _is_recomputed(convolution, outputs):
            after = _function(outputs, convolution)(before)  # so that the convolution is not computed twice
        answer, silent = (
            unit_response(tf.reduce_mean(t, (1, 2))) for t in (after, after if before is None else before)
        )
        return [_input_gradient(tf.where(answer > 0, answer, silent), images)]

    signature = image_spec(model), tf.TensorSpec((None,), tf.int64)
    graph = compiled(model, ("unit gradients", convolution), run, *signature)
    [gradients] = model.batched(graph, model.checked(values), np.asarray(units, np.int64))
    model.passes.gradient += len(values)
    return gradients


def margin_gradients(
    model: Classifier, values: FloatArray, classes: IntArray, explains: Explains
) -> tuple[FloatArray, FloatArray]:
    """(N, K) scores and (N, H, W, C) d (score of the class - largest score of another one) / d image."""

    def run(classifier: Classifier, images: Any, classes: Any) -> Any:
        outputs = classifier.in_graph(images)
        scores = outputs.logits if explains == "logit" else outputs.probabilities
        is_class = tf.one_hot(classes, tf.shape(scores)[1], on_value=True, off_value=False)
        class_score = tf.reduce_max(tf.where(is_class, scores, tf.float32.min), 1)
        rival_score = tf.reduce_max(tf.where(is_class, tf.float32.min, scores), 1)
        return scores, _input_gradient(class_score - rival_score, images)

    signature = image_spec(model), tf.TensorSpec((None,), tf.int64)
    graph = compiled(model, ("margin gradients", explains), run, *signature)
    scores, gradients = model.batched(graph, model.checked(values), np.asarray(classes, np.int64))
    model.passes.gradient += len(values)
    return scores, gradients


def layer_gradients(
    model: Classifier, values: FloatArray, targets: Sequence[IntArray], layers: tuple[str, ...]
) -> list[LayerGradients]:
    """Of several layers from one pass, of the logit of `targets[0]` less that of `targets[1]`, where there is one."""

    def run(classifier: Classifier, images: Any, *targets: Any) -> Any:
        outputs = classifier.in_graph(images)
        activations = [outputs.layer(path) for path in layers]
        score, *rival = (tf.gather(outputs.logits, classes, batch_dims=1) for classes in targets)
        score = score - rival[0] if rival else score
        gradients = tf.gradients(score, activations)
        for path, gradient in zip(layers, gradients, strict=True):
            if gradient is None:
                raise NoGradient(f"the model's output does not depend on layer {path} by any gradient",
                                 "name another layer, or use occlusion instead")  # fmt: skip
        return [tf.cast(t, tf.float32) for t in (*activations, *gradients)] + [score]

    signature = [image_spec(model), *(tf.TensorSpec((None,), tf.int64) for _ in targets)]
    graph = compiled(model, ("layer gradients", len(targets), *layers), run, *signature)
    *inside, scores = model.batched(graph, model.checked(values), *targets)
    model.passes.gradient += len(values)
    half = len(inside) // 2
    return [LayerGradients(a, g, scores) for a, g in zip(inside[:half], inside[half:], strict=True)]


def _run_forward(model: Classifier, key: Any, run: Any, values: FloatArray) -> list[FloatArray]:
    arrays = model.batched(compiled(model, key, run), model.checked(values))
    model.passes.forward += len(values)
    return arrays


def _input_gradient(scores: Any, images: Any) -> Any:
    [gradient] = tf.gradients(scores, images)
    if gradient is None:
        raise NoInputGradient
    return gradient


def _around(outputs: GraphOutputs, convolution: Convolution) -> tuple[Any, Any]:
    """(before, after) the activation function, (N, h, w, K) float32; before is None without one."""
    after = outputs.layer(convolution.after)
    if not convolution.activation:
        return None, tf.cast(after, tf.float32)
    if not convolution.fused:
        before = outputs.layer(convolution.before)
    elif not _is_recomputed(convolution, outputs):
        before = after.op.inputs[0]
    else:
        layer = outputs.call(convolution.path).layer
        activation, layer.activation = layer.activation, keras.activations.linear
        try:
            before = layer(outputs.input(convolution.path))
        finally:
            layer.activation = activation
    return tf.cast(before, tf.float32), tf.cast(after, tf.float32)


def _is_recomputed(convolution: Convolution, outputs: GraphOutputs) -> bool:
    """Whether `_around` computes once more what enters the activation function, since the graph does not show it.

    Nor would it show that of a function or a layer of the user's own, which may end in a ReLU and do more before.
    """
    layer, keras_function = (
        outputs.call(convolution.path).layer,
        getattr(keras.activations, convolution.activation or "-", None),
    )
    is_custom = layer.activation is not keras_function or not type(layer).__module__.startswith("keras.")
    return convolution.fused and (is_custom or outputs.layer(convolution.after).op.type not in _ONE_OPERATION)


def _function(outputs: GraphOutputs, convolution: Convolution) -> Any:
    return outputs.call(convolution.path).layer.activation


def _channels_around(outputs: GraphOutputs, convolution: Convolution, indices: Any, difference: Any) -> list[Any]:
    """Before and after, of some channels, and the `difference`, zeros (N,), where `before` had to be recomputed."""
    before, after = _around(outputs, convolution)
    # A product with ones and zeros takes a fifth of the time of tf.gather, and is as exact.
    selection = tf.one_hot(indices, after.shape[-1], axis=0)
    of_before, of_after = (tf.tensordot(t, selection, 1) for t in (after if before is None else before, after))
    if _is_recomputed(convolution, outputs):
        recomputed = tf.cast(_function(outputs, convolution)(before), tf.float32)
        largest = tf.maximum(tf.reduce_max(tf.abs(after)), 1e-30)
        difference += tf.reduce_max(tf.abs(recomputed - after)) / largest
    elif convolution.fused:  # number by number, so that what is chosen need not be chosen twice
        rounded = tf.cast(of_before, outputs.layer(convolution.after).dtype)
        of_after = tf.cast(_function(outputs, convolution)(rounded), tf.float32)
    return [of_before, of_after, difference]
