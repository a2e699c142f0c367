from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape, reduce_channels
from fruitaudit.attribution.noise import moments
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class SmoothGrad:
    """The gradient averaged over noisy copies of the image, so that what flickers cancels out.

    M = reduce(1/n * sum_s dS_k/dx (x + e_s)),  e_s ~ N(0, (noise * (x_max - x_min))^2), S_k the logit.
    Paper: Smilkov, Thorat, Kim, Viegas, Wattenberg 2017, arXiv:1706.03825, sec. 2.1.
    Signed gradients are averaged, as in the paper's formula, and channels are joined afterwards; a mean of absolute
    gradients (as tf-keras-vis computes) is larger where gradients flicker, and another map.
    Differs from the paper: x_max - x_min is the range that the preprocessing can give, not that of the single image,
    so that a dull photo is not probed with less noise than a bright one; e takes 65,536 values, equally likely and at
    most 4.3 deviations from 0, whose distribution is that of N(0, 1) to 1.1e-5.

    Parameters: `samples` noisy copies per image; `noise` standard deviation as a share of the range, 0..1;
    `channels` joins the colour channels ("sum" keeps the sign).
    Returns maps (N, H, W) in logit per unit of model input, >= 0 unless `channels` is "sum".
    """

    registration: ClassVar[Registration] = Registration(
        name="smoothgrad",
        title="SmoothGrad",
        family="gradient",
        question="Where does the score react to the pixels also when the image is a little noisy?",
        paper="Smilkov et al. 2017, arXiv:1706.03825",
        explains="logit",
        channels="maxabs",
        signed=False,
        needs=("gradients",),
        unit_power=1,
        quick_options=(("samples", 4),),
        cost="samples gradients",
        contrast=True,
        sensitivity_options=(("samples", 7), ("noise", 0.05), ("channels", "sum")),
    )

    samples: Annotated[int, Field(ge=1)] = 20
    noise: Annotated[float, Field(ge=0, le=1)] = 0.2
    channels: Literal["maxabs", "l2", "sum"] = "maxabs"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        mean = moments(model, images, targets, streams, self.samples, self.noise).mean
        return Maps(reduce_channels(mean, self.channels))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images * self.samples)


METHODS = (SmoothGrad,)
