from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape, reduce_channels
from fruitaudit.attribution.baselines import Fill, colour
from fruitaudit.attribution.scores import gradients_at
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class InputXGradient:
    """The gradient of the class score times the image: what each pixel would contribute if the model were linear.

    M = sum_c x_c dS/dx_c, S the logit.
    Paper: Shrikumar, Greenside, Shcherbina, Kundaje 2016, arXiv:1605.01713, sec. 3.
    Differs from the paper: x is measured from a black pixel, which is 0 where the model takes 0..1. So the map does not
    depend on the units of the input. `origin: zero` is the paper's.

    Parameters: `origin` what x is measured from: a colour, or "zero" in the model's own units.
    Returns maps (N, H, W) in logits, signed.
    """

    registration: ClassVar[Registration] = Registration(
        name="input_x_gradient",
        title="Input x gradient",
        family="gradient",
        question="Which pixels add to the score, and which take from it, if the model is taken as linear here?",
        paper="Shrikumar et al. 2016, arXiv:1605.01713",
        explains="logit",
        channels="sum",
        signed=True,
        needs=("gradients",),
        linear=True,
        cost="1 gradient",
        sensitivity_options=(("origin", "white"),),
        contrast=True,
    )

    origin: Fill | Literal["zero"] = "black"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        difference = images.values if self.origin == "zero" else images.values - colour(images, self.origin)
        gradient = gradients_at(model, images, targets)
        return Maps(reduce_channels(difference * gradient, "sum").astype(np.float32))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


METHODS = (InputXGradient,)
