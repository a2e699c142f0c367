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
class VarGrad:
    """The variance of the gradient over noisy copies of the image: where the model's reaction depends on the noise.

    M = reduce(1/(n - 1) * sum_s (g_s - mean g)^2),  g_s = dS_k/dx (x + e_s), e_s as in SmoothGrad, S_k the logit.
    Paper: Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, arXiv:1810.03292, sec. 2.1; studied by Seo, Choe,
    Koo, Jeon, Jeong, Jeon 2018, arXiv:1806.03000, who show that it does not contain the gradient itself.
    Differs from the paper: divided by n - 1, which makes it free of bias; noise is a share of the range that the
    preprocessing can give.

    Parameters: `samples` noisy copies per image, >= 2, those of SmoothGrad; `noise` standard deviation as a share of
    the range, 0..1; `channels` joins the colour channels.
    Returns maps (N, H, W) in squared logit per squared unit of model input, >= 0.
    """

    registration: ClassVar[Registration] = Registration(
        name="vargrad",
        title="VarGrad",
        family="gradient",
        question="Where does the score's reaction to the pixels change from one noisy copy to the next?",
        paper="Adebayo et al. 2018, arXiv:1810.03292",
        explains="logit",
        channels="maxabs",
        signed=False,
        needs=("gradients",),
        unit_power=2,
        quick_options=(("samples", 4),),
        cost="samples gradients, or none: those of SmoothGrad, where it has made the same",
        contrast=True,
        sensitivity_options=(("samples", 7), ("noise", 0.05), ("channels", "l2")),
    )

    samples: Annotated[int, Field(ge=2)] = 20
    noise: Annotated[float, Field(ge=0, le=1)] = 0.2
    channels: Literal["maxabs", "l2"] = "maxabs"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        variance = moments(model, images, targets, streams, self.samples, self.noise).variance
        return Maps(reduce_channels(variance, self.channels))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images * self.samples)


METHODS = (VarGrad,)
