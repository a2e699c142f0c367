from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, SPATIAL, Another, LayerGradients, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import gradient_maps
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class GradCam:
    """Which regions of the last feature maps raise the class's score, each map weighed by its mean gradient.

    L = relu(sum_k alpha_k A^k),  alpha_k = 1/Z sum_ij dS/dA_ij^k,  Z places, S the logit.
    Paper: Selvaraju et al. 2016, arXiv:1610.02391, eq. 1 and 2.
    Differs from the paper: nothing. On a head of global average pooling and one dense layer it is the positive part of
    CAM, divided by Z (the paper's appendix A).

    Parameters: `layer` with activations (h, w, K); left out: the model's last one with a spatial activation; `depths`
    0, or how many layers up to it are shown as further maps, evenly spread, see `cams.gradient_maps`.
    Returns maps (N, H, W), >= 0, enlarged bilinearly from (h, w).
    Raises CannotExplain where no layer has a spatial activation.
    """

    registration: ClassVar[Registration] = Registration(
        name="grad_cam",
        title="Grad-CAM",
        family="cam",
        question="Which regions of the image raise the class's score?",
        paper="Selvaraju et al. 2016, arXiv:1610.02391",
        explains="logit",
        channels="none",
        signed=False,
        needs=("layer_gradients",),
        cost="1 gradient",
        requires=(SPATIAL,),
        sensitivity_options=(("layer", Another.LAYER),),
        contract_options=(("layer", "early"), ("depths", 2)),
        contrast=True,
    )

    layer: str | None = None
    depths: Annotated[int, Field(ge=0)] = 0

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return gradient_maps(model, images, targets, "Grad-CAM", grad_cam, self.layer, self.depths)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


def grad_cam(layer: LayerGradients) -> FloatArray:
    """(N, h, w, K) activations and gradients of the logit -> (N, h, w) map, >= 0."""
    weights = layer.gradients.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * layer.activations).sum(axis=-1), 0)


METHODS = (GradCam,)
