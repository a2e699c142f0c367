from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.methods.deep_lift import additivity, multipliers_of
from fruitaudit.attribution.scores import logit_weights
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.graphs import batches_of, compiled, pictures, scored
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

_MANY = 100
"""Passes from which compiling parts of them takes less time than it saves."""


@dataclass(frozen=True, config=OPTIONS)
class DeepShap:
    """What each pixel adds to the class score, compared with real images that the model knows.

    phi_i = mean_r C_i(x, r) over reference images r, C the contributions of DeepLIFT, so that
    sum_i phi_i = S(x) - mean_r S(r) for the logit S. Approximates Shapley values.
    Paper: Lundberg, Lee 2017, arXiv:1705.07874, sec. 4.2 (Deep SHAP); rules: see `deep_lift`.
    Differs from the paper: as `deep_lift` does. Channels are summed to one map.

    Parameters: `background` reference images; `classes` further classes, those with the highest mean probability over
    the images explained, each a part "class <index>"; `total`: also the part "sum of all classes".
    Returns maps (N, H, W) in logits, signed, of the class explained. Diagnostics, (N,): "score_difference"
    S(x) - mean S(r) and "additivity_error" |sum phi - (S(x) - mean S(r))| / |S(x) - mean S(r)|.
    Raises CannotExplain with the operations of the model that have no rule.
    """

    registration: ClassVar[Registration] = Registration(
        name="deep_shap",
        title="DeepSHAP",
        family="backward",
        question="Which pixels raise or lower the score, compared with images that the model was trained on?",
        paper="Lundberg and Lee 2017, arXiv:1705.07874",
        explains="logit",
        channels="sum",
        signed=True,
        needs=("scores", "backward_rules"),
        cost="(1 + classes + total) x background gradients, whose forward halves are shared between images",
        sensitivity_options=(("background", 3), ("classes", 2), ("total", True)),
        contrast=True,
    )

    background: Annotated[int, Field(ge=1)] = 100
    classes: Annotated[int, Field(ge=1)] | None = None
    total: bool = False

    @property
    def background_size(self) -> int:
        return self.background

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        if images.background is None or len(images.background.values) == 0:
            raise CannotExplain("DeepSHAP compares with reference images, and there are none: add a split with the "
                                "role reference, or use deep_lift instead")  # fmt: skip
        references = images.background.values[: self.background]
        seeds = {"": logit_weights(targets, model.n_classes)}
        if self.classes:
            for k in np.argsort(-model.probabilities(images.values).mean(axis=0), kind="stable")[: self.classes]:
                seeds[f"class {k}"] = logit_weights(Targets(np.full(len(images), k)), model.n_classes)
        if self.total:
            seeds["sum of all classes"] = np.ones((len(images), model.n_classes), np.float32)
        repeated = np.concatenate([images.values] * len(seeds))
        values, differences = _contributions(model, repeated, np.concatenate(list(seeds.values())), references)
        maps = dict(zip(seeds, np.split(values, len(seeds)), strict=True))
        own = maps.pop("")
        return Maps(own, additivity(own, differences[: len(images)]), parts=maps)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        maps = n_images * (1 + (self.classes or 0) + self.total)
        return Passes(forward=n_images if self.classes else 0, gradient=maps * self.background)


def _contributions(
    model: Model, images: FloatArray, seeds: FloatArray, references: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Means over the references of the maps (N, H, W) and of the differences (N,) of the scores that `seeds` weigh."""
    fused = len(images) * len(references) >= _MANY
    run = partial(_against_many, fused=fused)
    function = compiled(model, ("deep_shap", fused), run, pictures(model), scored(model), pictures(model))
    totals, differences = np.zeros(images.shape[:3]), np.zeros(len(images))
    # As equal as can be: what is compiled is compiled for each number of them.
    for part in np.array_split(references, -(-len(references) // model.batch_size)):
        maps, change = batches_of(model, lambda v, s, r=part: function(v, s, r), images, seeds)
        totals += maps
        differences += change
    model.passes.gradient += len(images) * len(references)
    return (totals / len(references)).astype(np.float32), (differences / len(references)).astype(np.float32)


def _against_many(model: Model, images: Any, seeds: Any, references: Any, *, fused: bool) -> tuple[Any, Any]:
    """In a graph: sums over the references, which run forward once for all images."""
    from fruitaudit.models.keras.backend import tf

    of_references = model.in_graph(references)

    def one(image_and_seed: tuple[Any, Any]) -> tuple[Any, Any]:
        # Known to be one, Keras would trace other operations for it than for the references.
        image = tf.compat.v1.placeholder_with_default(image_and_seed[0][None], (None, *model.input_shape))
        seed = image_and_seed[1][None]
        logits = model.in_graph(image).logits
        every = tf.repeat(seed, tf.shape(references)[0], axis=0)
        multipliers = multipliers_of(model, (references, of_references.logits), (image, logits), every, fused=fused)
        maps = tf.reduce_sum(multipliers * (image - references), axis=(0, 3))
        return maps, tf.reduce_sum((logits - of_references.logits) * seed)

    result = (tf.TensorSpec(model.input_shape[:2], tf.float32), tf.TensorSpec((), tf.float32))
    # One after the other: the activations of one image against all references already fill a batch.
    return tf.map_fn(one, (images, seeds), parallel_iterations=1, fn_output_signature=result)


METHODS = (DeepShap,)
