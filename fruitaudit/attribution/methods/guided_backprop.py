from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import ONLY_RELUS, OPTIONS, Model, Passes, Registration, Shape, reduce_channels
from fruitaudit.attribution.scores import logit_weights
from fruitaudit.attribution.sharing import computed_once
from fruitaudit.models.rules import ReluRules
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

GUIDED, DECONVOLUTION = ReluRules("guided"), ReluRules("deconvolution")
_TITLES = {"guided": "guided backpropagation", "deconvolution": "deconvolution"}


@dataclass(frozen=True, config=OPTIONS)
class GuidedBackprop:
    """The gradient of the class score, where only what excites is passed back through each ReLU.

    R^l = 1[f^l > 0] 1[R^(l+1) > 0] R^(l+1) at a ReLU, the gradient everywhere else.
    Paper: Springenberg, Dosovitskiy, Brox, Riedmiller 2014, arXiv:1412.6806, sec. 3.4 and fig. 1.
    Differs from the paper: starts at the logit of the class, not at a unit of a layer.
    Its maps follow edges of the image and depend little on the class (Adebayo et al. 2018, arXiv:1810.03292).

    Parameters: `channels` joins the colour channels ("sum" keeps the sign).
    Returns maps (N, H, W) in logit per unit of model input, >= 0 unless `channels` is "sum".
    Raises CannotExplain where the network has other nonlinearities than ReLU, with their operations.
    """

    registration: ClassVar[Registration] = Registration(
        name="guided_backprop",
        title="Guided backpropagation",
        family="backward",
        question="Which details of the image excite the parts of the network that speak for the class?",
        paper="Springenberg et al. 2014, arXiv:1412.6806",
        explains="logit",
        channels="maxabs",
        signed=False,
        needs=("backward_rules",),
        requires=(ONLY_RELUS,),
        cost="1 gradient",
        sensitivity_options=(("channels", "sum"),),
        contrast=True,
    )

    channels: Literal["maxabs", "l2", "sum"] = "maxabs"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        gradients = modified_gradients(model, images, targets, GUIDED)
        return Maps(reduce_channels(gradients, self.channels).astype(np.float32))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


def modified_gradients(model: Model, images: Images, targets: Targets, rules: ReluRules) -> FloatArray:
    """(N, H, W, C) what arrives at the images by these rules."""

    def compute() -> FloatArray:
        return model.propagate(rules, images.values, logit_weights(targets, model.n_classes)).input_signals

    return computed_once(f"gradients by the rule of {_TITLES[rules.at_relus]}", compute, model, images, targets)


METHODS = (GuidedBackprop,)
