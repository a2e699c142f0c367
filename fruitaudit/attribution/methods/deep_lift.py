from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import (
    OPTIONS,
    SCORE_DIFFERENCE,
    Model,
    Passes,
    Registration,
    Shape,
    Sum,
    rounding_error,
)
from fruitaudit.attribution.baselines import Fill, colour
from fruitaudit.attribution.scores import logit_weights
from fruitaudit.models.rules import DeepLiftRules, Propagated
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

_ROUNDING = 1e-5
"""Logits. A smaller difference is what float32 leaves of two equal scores: no share of it means anything."""


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
    "additivity_error" |sum C - (S(x) - S(b))| / max(|S(x) - S(b)|, 1e-5), which only rounding makes.
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
        linear=True,
        adds_up=Sum(less="black"),
        cost="1 gradient, and 1 forward for all images of a batch",
        diagnostics=(
            rounding_error(
                "additivity_error",
                "Do not read these maps unless the score's difference from that of the `baseline` is close to 0, where "
                "rounding is all there is.",
            ),
            SCORE_DIFFERENCE,
        ),
        sensitivity_options=(("baseline", "white"),),
        contrast=True,
    )

    baseline: Fill = "black"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        empty = np.broadcast_to(colour(images, self.baseline), (1, *model.input_shape))
        rules = DeepLiftRules(empty, one_colour=True)
        propagated = model.propagate(rules, images.values, logit_weights(targets, model.n_classes))
        return Maps(propagated.input_signals, additivity(propagated))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=1, gradient=n_images)


def additivity(propagated: Propagated) -> dict[str, FloatArray]:
    """The diagnostics: what the maps must add up to, and by how much of it they do not."""
    gap = abs(propagated.input_signals.sum(axis=(1, 2), dtype=np.float64) - propagated.scores)
    error = gap / np.maximum(abs(propagated.scores), _ROUNDING)
    return {"additivity_error": error.astype(np.float32), "score_difference": propagated.scores.astype(np.float32)}


METHODS = (DeepLift,)
