"""The rules of `models.rules` put into practice on a traced Keras network, batch by batch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fruitaudit.models.keras import rules_deep_lift, rules_lrp, rules_relu
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.graphs import compiled, image_spec, score_spec
from fruitaudit.models.rules import DeepLiftRules, LrpRules, Propagated, ReluRules, Rules
from fruitaudit.records.data import FloatArray

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier

_MANY = 100
"""Passes from which compiling parts of them takes less time than it saves."""


def propagate(model: Classifier, rules: Rules, values: FloatArray, weights: FloatArray) -> Propagated:
    """See `models.base.WithBackwardRules`. What it costs is counted."""
    if isinstance(rules, ReluRules):
        return _by_relus(model, rules, values, weights)
    if isinstance(rules, LrpRules):
        return _relevance(model, rules, values, weights)
    return (_against_one if rules.one_colour else _against_many)(model, rules, values, weights)


def _by_relus(model: Classifier, rules: ReluRules, values: FloatArray, weights: FloatArray) -> Propagated:
    def function(classifier: Classifier, images: Any, seeds: Any) -> Any:
        return rules_relu.modified_gradient(classifier, images, seeds, rules.at_relus)

    graph = compiled(model, rules, function, image_spec(model), score_spec(model))
    [signals] = model.batched(graph, values, weights)
    model.passes.gradient += len(values)
    return Propagated(signals)


def _relevance(model: Classifier, rules: LrpRules, values: FloatArray, weights: FloatArray) -> Propagated:
    rules_by_kind = {"dense": rules.dense, "convolution": rules.convolution, "first": rules.first}

    def function(classifier: Classifier, images: Any, seeds: Any, low: Any, high: Any) -> Any:
        return rules_lrp.relevance(classifier, images, seeds, low, high, rules_by_kind)

    colours = tf.TensorSpec((model.input_shape[2],), tf.float32)
    graph = compiled(
        model, ("lrp", *rules_by_kind.values()), function, image_spec(model), score_spec(model), colours, colours
    )  # fmt: skip
    arrays = model.batched(lambda v, w: graph(v, w, rules.low, rules.high), values, weights)
    model.passes.gradient += len(values)
    model.passes.forward += len(values)
    return Propagated(*arrays)


def _against_one(model: Classifier, rules: DeepLiftRules, values: FloatArray, weights: FloatArray) -> Propagated:
    function = rules_deep_lift.against_one
    graph = compiled(model, "deep_lift", function, image_spec(model), score_spec(model), image_spec(model))
    arrays = model.batched(lambda v, w: graph(v, w, rules.references), values, weights)
    model.passes.gradient += len(values)
    model.passes.forward += -(-len(values) // model.batch_size)  # one reference for all images of a batch
    return Propagated(*arrays)


def _against_many(model: Classifier, rules: DeepLiftRules, values: FloatArray, weights: FloatArray) -> Propagated:
    references = rules.references
    fused = len(values) * len(references) >= _MANY
    function = partial(rules_deep_lift.against_many, fused=fused)
    graph = compiled(model, ("deep_shap", fused), function, image_spec(model), score_spec(model), image_spec(model))
    totals, differences = np.zeros(values.shape[:3]), np.zeros(len(values))
    # As equal as can be: what is compiled is compiled for each number of them.
    for part in np.array_split(references, -(-len(references) // model.batch_size)):
        maps, change = model.batched(lambda v, s, r=part: graph(v, s, r), values, weights)
        totals += maps
        differences += change
    model.passes.gradient += len(values) * len(references)
    return Propagated((totals / len(references)).astype(np.float32), (differences / len(references)).astype(np.float32))
