from __future__ import annotations

from typing import Annotated, Any, ClassVar, cast

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import (
    LRP_RULES,
    OPTIONS,
    Diagnostic,
    Model,
    Passes,
    Registration,
    Shape,
    Sum,
    rounding_error,
)
from fruitaudit.attribution.scores import logit_weights
from fruitaudit.models.rules import LrpRule, LrpRules
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

_INSIDE = r"zero|z\+|(epsilon|gamma|alpha)( \d+(\.\d+)?(e-?\d+)?)?"
Inside = Annotated[str, Field(pattern=f"^({_INSIDE})$")]
First = Annotated[str, Field(pattern=f"^({_INSIDE}|flat|box)$")]


@dataclass(frozen=True, config=OPTIONS)
class Lrp:
    """Layer-wise relevance propagation: the class score handed back layer by layer to whatever contributed to it.

    R_j = sum_k rho(a_j w_jk) / sum_j rho(a_j w_jk) R_k from each weighted layer to the one before it, so that
    sum_i R_i = S for the logit S, but for what stays inside. The rules rho: see `models.keras.rules_lrp`.
    Paper: Bach, Binder, Montavon, Klauschen, Mueller, Samek 2015, doi:10.1371/journal.pone.0130140, eq. 2, 56-60;
    Montavon, Binder, Lapuschkin, Samek, Mueller 2019, chapter 10; composites: Kohlbrenner et al. 2019,
    arXiv:1910.09840.
    Differs from the paper: batch normalization and bias are joined with the weights before them; pooling by maximum
    gives all to the maximum; gates (swish, squeeze and excite) get nothing, what they gate gets all; what only
    prepares the image (rescaling, flattening) hands relevance on. Channels are summed to one map.

    Parameters: rules for `dense` layers, for every `convolution`, and for the `first` weighted layer of either kind:
    "zero", "epsilon 1e-6", "gamma 0.25", "z+", "alpha 2" (beta is alpha - 1); for `first` also "flat" and "box".
    The defaults are the composite epsilon-plus-flat; epsilon-alpha2-beta1-flat is `convolution: alpha 2`;
    epsilon-gamma-box is `convolution: gamma 0.25, first: box`.
    Returns maps (N, H, W) in logits, signed. Diagnostics, (N,): "score" S; "kept_inside" what stays with biases, and
    with units without any contribution of the sign that a rule asks for; "conservation_error"
    |S - sum R - kept inside| / |S|.
    Raises CannotExplain with the operations of the model that have no rule, such as those of attention, and where the
    first layer is dense and its rule "flat".
    """

    registration: ClassVar[Registration] = Registration(
        name="lrp",
        title="Layer-wise relevance propagation",
        family="backward",
        question="Which pixels does the score come from, if every layer is asked what contributed to it?",
        paper="Bach et al. 2015; Kohlbrenner et al. 2019, arXiv:1910.09840",
        explains="logit",
        channels="sum",
        signed=True,
        needs=("backward_rules",),
        requires=(LRP_RULES,),
        linear=True,
        adds_up=Sum(less="nothing"),
        cost="1 gradient, and 1 forward for the parts of positive contributions",
        diagnostics=(
            rounding_error(
                "conservation_error",
                "Do not read these maps unless the score is close to 0, where rounding is all there is; other rules "
                "(`dense`, `convolution`, `first`) may lose less.",
            ),
            Diagnostic("score", "score"),
            Diagnostic("kept_inside", "kept inside"),
        ),
        sensitivity_options=(("dense", "gamma 0.5"), ("convolution", "epsilon"), ("first", "box")),
        contrast=True,
    )

    dense: Inside = "epsilon"
    convolution: Inside = "z+"
    first: First = "flat"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        dense, convolution, first = map(_rule, (self.dense, self.convolution, self.first))
        rules = LrpRules(dense, convolution, first, images.low, images.high)
        propagated = model.propagate(rules, images.values, logit_weights(targets, model.n_classes))
        scores, kept_inside = propagated.scores, propagated.kept_inside
        values = propagated.input_signals.sum(axis=-1)
        gap = abs(scores - values.sum(axis=(1, 2), dtype=np.float64) - kept_inside)
        error = (gap / np.maximum(abs(scores), np.finfo(np.float32).eps)).astype(np.float32)
        return Maps(values, {"conservation_error": error, "score": scores, "kept_inside": kept_inside})

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images, gradient=n_images)


def _rule(text: str) -> LrpRule:
    """As an option writes it: a name and its number, "gamma 0.25"."""
    name, _, number = text.partition(" ")
    default = {"epsilon": 1e-6, "gamma": 0.25, "alpha": 2.0}.get(name, 0.0)
    return LrpRule(cast("Any", name), float(number) if number else default)


METHODS = (Lrp,)
