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
class LayerCam:
    """Which places of a layer, any layer, raise the class's score: each place weighed by its own positive gradient.

    L = relu(sum_k relu(dS/dA_ij^k) A_ij^k),  S the logit.
    Paper: Jiang, Zhang, Hou, Cheng, Wei 2021, LayerCAM, IEEE TIP, doi:10.1109/TIP.2021.3089943, sec. III; after
    Grad-CAM, arXiv:1610.02391.
    Differs from the paper: shallow layers are not squeezed by tanh and nothing is fused; see `cams.gradient_maps`.

    Parameters: `layer` with activations (h, w, K); left out: the model's last one with a spatial activation; `depths`
    0, or how many layers up to it are shown as further maps, evenly spread: coarse to fine.
    Returns maps (N, H, W), >= 0, enlarged bilinearly from (h, w).
    Raises CannotExplain where no layer has a spatial activation.
    """

    registration: ClassVar[Registration] = Registration(
        name="layer_cam",
        title="Layer-CAM",
        family="cam",
        question="Which places speak for the class, in deep layers coarsely, in early ones finely?",
        paper="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943; after arXiv:1610.02391",
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
        return gradient_maps(model, images, targets, "Layer-CAM", layer_cam, self.layer, self.depths)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


def layer_cam(layer: LayerGradients) -> FloatArray:
    """(N, h, w, K) activations and gradients of the logit -> (N, h, w) map, >= 0."""
    return np.maximum((np.maximum(layer.gradients, 0) * layer.activations).sum(axis=-1), 0)


METHODS = (LayerCam,)
