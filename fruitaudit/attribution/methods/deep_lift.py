from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.fills import Fill, colour
from fruitaudit.attribution.scores import logit_weights
from fruitaudit.models.keras.graphs import batches_of, compiled, pictures, scored
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class DeepLift:
    """How the class score comes about when the image replaces an empty one, told layer by layer in one pass.

    C_i = m_i (x_i - b_i), sum_i C_i = S(x) - S(b) for the logit S. The multipliers m are passed back like gradients,
    with (f(x) - f(b)) / (x - b) in place of the derivative of each function of one number (rescale rule).
    Paper: Shrikumar, Greenside, Kundaje 2017, arXiv:1704.02685, eq. 1-3 and sec. 3.5.1.
    Differs from the paper: products of two values that both depend on the image (swish, attention) take half of their
    difference each way; what a maximum gains is given to where the larger of the two has it, or, where the baseline's
    values are the same all over its window, to where the image has it. Softmax is made of these. All of them keep the
    sum. Channels are summed to one map.

    Parameters: `baseline` the empty image b.
    Returns maps (N, H, W) in logits, signed. Diagnostics, (N,): "score_difference" S(x) - S(b) and
    "additivity_error" |sum C - (S(x) - S(b))| / |S(x) - S(b)|, which only rounding makes.
    Raises CannotExplain with the operations of the model that have no rule.
    """

    registration: ClassVar[Registration] = Registration(
        name="deep_lift",
        title="DeepLIFT",
        family="backward",
        question="Which pixels make up the score, for and against, when the image replaces an empty one?",
        paper="Shrikumar et al. 2017, arXiv:1704.02685",
        explains="logit",
        channels="sum",
        signed=True,
        needs=("backward_rules",),
        cost="1 gradient, and 1 forward for all images of a batch",
        sensitivity_options=(("baseline", "white"),),
        contrast=True,
    )

    baseline: Fill = "black"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        black = np.broadcast_to(colour(images, self.baseline), (1, *model.input_shape))
        function = compiled(model, "deep_lift", against_one, pictures(model), scored(model), pictures(model))
        values, difference = batches_of(
            model, lambda v, w: function(v, w, black), images.values, logit_weights(targets, model.n_classes)
        )
        model.passes.gradient += len(images)
        model.passes.forward += -(-len(images) // model.batch_size)  # one baseline for all images of a batch
        return Maps(values, additivity(values, difference))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=1, gradient=n_images)


def against_one(model: Model, images: Any, weights: Any, baseline: Any) -> tuple[Any, Any]:
    """In a graph: (maps (N, H, W), differences of the weighted logits (N,)) of images against one baseline."""
    from fruitaudit.models.keras.backend import tf

    of_images, of_baseline = model.in_graph(images), model.in_graph(baseline)
    one = baseline, of_baseline.logits
    multipliers = multipliers_of(model, (images, of_images.logits), one, weights, colour=baseline)
    difference = tf.reduce_sum((of_images.logits - of_baseline.logits) * weights, axis=1)
    return tf.reduce_sum(multipliers * (images - baseline), axis=-1), difference


def multipliers_of(
    model: Model, many: tuple[Any, Any], one: tuple[Any, Any], seed: Any, *, fused: bool = False, colour: Any = None
) -> Any:
    """In a graph: multipliers at the images of `many`, (images, logits) each; the other trace holds a single image.

    `fused`: with rules that take long to compile and less time in each pass. `colour`: this single image,
    where it is the reference and of one colour; left out, those of `many` are the references.
    """
    from fruitaudit.models.keras import backward
    from fruitaudit.models.keras.rules_deep_lift import FUSED_RULES, RULES, require_batch_axis
    from fruitaudit.models.keras.rules_maxima import joined

    steps = backward.steps_between(*many, one)
    backward.require_rules(steps, RULES, "DeepLIFT", "integrated_gradients")
    require_batch_axis(model)
    return backward.walk_back(joined(steps, colour), many[1], seed, many[0], FUSED_RULES if fused else RULES)


def additivity(values: FloatArray, difference: FloatArray) -> dict[str, FloatArray]:
    """The diagnostics: what the maps must add up to, and by how much of it they do not."""
    gap = abs(values.sum(axis=(1, 2), dtype=np.float64) - difference)
    error = gap / np.maximum(abs(difference), np.finfo(np.float32).eps)
    return {"additivity_error": error.astype(np.float32), "score_difference": difference.astype(np.float32)}


METHODS = (DeepLift,)
