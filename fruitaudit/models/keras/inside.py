"""What goes on inside the network and at its input, as functions of arrays, each compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fruitaudit.errors import NoGradient
from fruitaudit.models.keras import taps
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.graphs import compiled, pictures
from fruitaudit.models.layers import Convolution
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.explanations import Explains
from fruitaudit.records.passes import AroundActivation, Forward, LayerGradients

if TYPE_CHECKING:
    from fruitaudit.models.keras.called import InGraph
    from fruitaudit.models.keras.classifier import Classifier

_ONE_OPERATION = {"Relu", "Relu6", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"}
"""Activation functions whose input is there in the graph, and need not be computed once more."""
_NEVER_NEGATIVE = {"Relu", "Relu6", "Sigmoid", "Softplus"}
NO_INPUT_GRADIENT = "no gradient reaches the model's input"


def forward(model: Classifier, values: FloatArray, layers: tuple[str | None, ...]) -> Forward:
    """Scores, and what the layers answer; of None what the last dense layer sees."""

    def run(alive: Classifier, images: Any) -> Any:
        called = alive.in_graph(images)
        tensors = (taps.last_dense_input(called.trace) if one is None else called.layer(one) for one in layers)
        return called.probabilities, called.logits, *(tf.cast(t, tf.float32) for t in tensors)

    return Forward.of(*_passed(model, ("forward", *layers), run, values))


def channel_means(
    model: Classifier, values: FloatArray, convolutions: Sequence[Convolution], magnitudes: bool
) -> Forward:
    """Scores, and (N, K) the mean over places of each channel, or of its magnitude."""

    def run(alive: Classifier, images: Any) -> Any:
        called, means = alive.in_graph(images), []
        for convolution in convolutions:
            after = _around(called, convolution)[1]
            # To drop a sign takes a quarter of the time, and most functions leave none.
            signed = magnitudes and after.op.type not in _NEVER_NEGATIVE
            means.append(tf.reduce_mean(tf.abs(after) if signed else after, axis=(1, 2)))
        return called.probabilities, called.logits, *means

    return Forward.of(*_passed(model, ("channel means", magnitudes, *convolutions), run, values))


def around_activations(
    model: Classifier, values: FloatArray, convolutions: Sequence[Convolution], channels: Sequence[IntArray]
) -> list[AroundActivation]:
    """What enters the activation function of each convolution and what comes out, of these channels."""

    def run(alive: Classifier, images: Any, *channels: Any) -> Any:
        called, made = alive.in_graph(images), []
        for convolution, which in zip(convolutions, channels, strict=True):
            made += _chosen(called, convolution, which, tf.zeros(tf.shape(images)[:1]))
        return made

    signature = [pictures(model), *(tf.TensorSpec((None,), tf.int64) for _ in channels)]
    graph = compiled(model, ("around activations", *convolutions), run, *signature)
    found = model.batched(lambda images: graph(images, *channels), model.checked(values))
    model.passes.forward += len(values)
    return [AroundActivation(found[i], found[i + 1], float(found[i + 2].max())) for i in range(0, len(found), 3)]


def unit_gradients(
    model: Classifier, values: FloatArray, convolution: Convolution | None, units: IntArray
) -> FloatArray:
    """(N, H, W, C) d response of unit n / d image n, see `models.base.WithUnitGradients`."""

    def run(alive: Classifier, images: Any, units: Any) -> Any:
        called = alive.in_graph(images)

        def own(responses: Any) -> Any:
            return tf.reduce_sum(responses * tf.one_hot(units, tf.shape(responses)[1]), axis=1)

        if convolution is None:
            return [_back(own(called.logits), images)]
        before, after = _around(called, convolution)
        if _is_recomputed(convolution, called):
            after = _function(called, convolution)(before)  # so that the convolution is not computed twice
        answer, silent = (own(tf.reduce_mean(t, (1, 2))) for t in (after, after if before is None else before))
        return [_back(tf.where(answer > 0, answer, silent), images)]

    signature = pictures(model), tf.TensorSpec((None,), tf.int64)
    graph = compiled(model, ("unit gradients", convolution), run, *signature)
    [gradients] = model.batched(graph, model.checked(values), np.asarray(units, np.int64))
    model.passes.gradient += len(values)
    return gradients


def margin_gradients(
    model: Classifier, values: FloatArray, classes: IntArray, explains: Explains
) -> tuple[FloatArray, FloatArray]:
    """(N, K) scores and (N, H, W, C) d (score of the class - largest score of another one) / d image."""

    def run(alive: Classifier, images: Any, classes: Any) -> Any:
        called = alive.in_graph(images)
        scores = called.logits if explains == "logit" else called.probabilities
        is_own = tf.one_hot(classes, tf.shape(scores)[1], on_value=True, off_value=False)
        own = tf.reduce_max(tf.where(is_own, scores, tf.float32.min), 1)
        other = tf.reduce_max(tf.where(is_own, tf.float32.min, scores), 1)
        return scores, _back(own - other, images)

    signature = pictures(model), tf.TensorSpec((None,), tf.int64)
    graph = compiled(model, ("margin gradients", explains), run, *signature)
    scores, gradients = model.batched(graph, model.checked(values), np.asarray(classes, np.int64))
    model.passes.gradient += len(values)
    return scores, gradients


def layer_gradients(
    model: Classifier, values: FloatArray, targets: Sequence[IntArray], layers: tuple[str, ...]
) -> list[LayerGradients]:
    """Of several layers from one pass, of the logit of `targets[0]` less that of `targets[1]`, where there is one."""

    def run(alive: Classifier, images: Any, *targets: Any) -> Any:
        called = alive.in_graph(images)
        activations = [called.layer(path) for path in layers]
        score, *rival = (tf.gather(called.logits, classes, batch_dims=1) for classes in targets)
        score = score - rival[0] if rival else score
        gradients = tf.gradients(score, activations)
        for path, gradient in zip(layers, gradients, strict=True):
            if gradient is None:
                raise NoGradient(f"the model's output does not depend on layer {path} by any gradient",
                                 "name another layer, or use occlusion instead")  # fmt: skip
        return [tf.cast(t, tf.float32) for t in (*activations, *gradients)] + [score]

    signature = [pictures(model), *(tf.TensorSpec((None,), tf.int64) for _ in targets)]
    graph = compiled(model, ("layer gradients", len(targets), *layers), run, *signature)
    *inside, scores = model.batched(graph, model.checked(values), *targets)
    model.passes.gradient += len(values)
    half = len(inside) // 2
    return [LayerGradients(a, g, scores) for a, g in zip(inside[:half], inside[half:], strict=True)]


def _passed(model: Classifier, key: Any, run: Any, values: FloatArray) -> list[FloatArray]:
    made = model.batched(compiled(model, key, run), model.checked(values))
    model.passes.forward += len(values)
    return made


def _back(scores: Any, images: Any) -> Any:
    [gradient] = tf.gradients(scores, images)
    if gradient is None:
        raise NoGradient(NO_INPUT_GRADIENT, "use a perturbation method such as occlusion instead")
    return gradient


def _around(called: InGraph, convolution: Convolution) -> tuple[Any, Any]:
    """(before, after) the activation function, (N, h, w, K) float32; before is None without one."""
    after = called.layer(convolution.after)
    if not convolution.activation:
        return None, tf.cast(after, tf.float32)
    if not convolution.fused:
        before = called.layer(convolution.before)
    elif not _is_recomputed(convolution, called):
        before = after.op.inputs[0]
    else:
        layer = called.call(convolution.path).layer
        own, layer.activation = layer.activation, keras.activations.linear
        try:
            before = layer(called.input(convolution.path))
        finally:
            layer.activation = own
    return tf.cast(before, tf.float32), tf.cast(after, tf.float32)


def _is_recomputed(convolution: Convolution, called: InGraph) -> bool:
    """Whether `_around` computes once more what enters the activation function, since the graph does not show it.

    Nor would it show that of a function or a layer of the user's own, which may end in a ReLU and do more before.
    """
    layer, known = called.call(convolution.path).layer, getattr(keras.activations, convolution.activation or "-", None)
    own = layer.activation is not known or not type(layer).__module__.startswith("keras.")
    return convolution.fused and (own or called.layer(convolution.after).op.type not in _ONE_OPERATION)


def _function(called: InGraph, convolution: Convolution) -> Any:
    return called.call(convolution.path).layer.activation


def _chosen(called: InGraph, convolution: Convolution, which: Any, difference: Any) -> list[Any]:
    """Before and after, of some channels, and the `difference`, zeros (N,), where `before` had to be recomputed."""
    before, after = _around(called, convolution)
    # A product with ones and zeros takes a fifth of the time of tf.gather, and is as exact.
    chosen_ones = tf.one_hot(which, after.shape[-1], axis=0)
    of_before, of_after = (tf.tensordot(t, chosen_ones, 1) for t in (after if before is None else before, after))
    if _is_recomputed(convolution, called):
        again = tf.cast(_function(called, convolution)(before), tf.float32)
        largest = tf.maximum(tf.reduce_max(tf.abs(after)), 1e-30)
        difference += tf.reduce_max(tf.abs(again - after)) / largest
    elif convolution.fused:  # number by number, so that what is chosen need not be chosen twice
        own = tf.cast(of_before, called.layer(convolution.after).dtype)
        of_after = tf.cast(_function(called, convolution)(own), tf.float32)
    return [of_before, of_after, difference]
