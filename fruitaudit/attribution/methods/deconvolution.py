from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import ONLY_RELUS, OPTIONS, Model, Passes, Registration, Shape, reduce_channels
from fruitaudit.attribution.methods.guided_backprop import DECONVOLUTION, modified_gradients
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class Deconvolution:
    """The class score sent back through the network run in reverse, with a ReLU on the way back at each ReLU.

    R^l = 1[R^(l+1) > 0] R^(l+1) at a ReLU, switches at maxima, transposed filters elsewhere.
    Paper: Zeiler, Fergus 2013, arXiv:1311.2901, sec. 2.1.
    Differs from the paper: starts at the logit of the class, not at a feature map. Its network was without batch
    normalization and shortcuts, which are taken as the linear operations that they are.
    Its maps follow edges of the image and depend little on the class (Mahendran and Vedaldi 2016).

    Parameters: `channels` joins the colour channels ("sum" keeps the sign).
    Returns maps (N, H, W) in logit per unit of model input, >= 0 unless `channels` is "sum".
    Raises CannotExplain where the network has other nonlinearities than ReLU, with their operations.
    """

    registration: ClassVar[Registration] = Registration(
        name="deconvolution",
        title="Deconvolution",
        family="backward",
        question="Which details would the network, run in reverse, paint to make this class?",
        paper="Zeiler and Fergus 2013, arXiv:1311.2901",
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
        gradients = modified_gradients(model, images, targets, DECONVOLUTION)
        return Maps(reduce_channels(gradients, self.channels).astype(np.float32))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


METHODS = (Deconvolution,)
