from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape, reduce_channels
from fruitaudit.attribution.scores import gradients_at
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class Saliency:
    """How strongly the class score reacts to a small change of each pixel.

    M_ij = max_c |w_ijc|,  w = dS_k / dx at the image, S_k the logit of the class explained.
    Paper: Simonyan, Vedaldi, Zisserman 2013, arXiv:1312.6034, sec. 3.1.
    Differs from the paper: nothing, with `channels` "maxabs"; "l2" and "sum" are other ways to one map.

    Parameters: `channels` joins the colour channels ("sum" keeps the sign).
    Returns maps (N, H, W) in logit per unit of model input, >= 0 unless `channels` is "sum".
    """

    registration: ClassVar[Registration] = Registration(
        name="saliency",
        title="Saliency",
        family="gradient",
        question="Where would a tiny change of the pixels change the model's score most?",
        paper="Simonyan et al. 2013, arXiv:1312.6034",
        explains="logit",
        channels="maxabs",
        signed=False,
        needs=("gradients",),
        unit_power=1,
        cost="1 gradient",
        contrast=True,
        sensitivity_options=(("channels", "sum"),),
    )

    channels: Literal["maxabs", "l2", "sum"] = "maxabs"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return Maps(reduce_channels(gradients_at(model, images, targets), self.channels).astype(np.float32))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


METHODS = (Saliency,)
