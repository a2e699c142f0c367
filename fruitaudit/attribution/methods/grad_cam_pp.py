from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, SPATIAL, Another, LayerGradients, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import gradient_maps
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class GradCamPlusPlus:
    """Which regions of the last feature maps speak for the class.

    L = relu(sum_k w_k A^k),  w_k = sum_ij alpha_ij^k relu(dY/dA_ij^k),
    alpha_ij^k = Y'' / (2 Y'' + sum_ab A_ab^k Y'''),  Y = exp(S), S the logit.
    Paper: Chattopadhay, Sarkar, Howlader, Balasubramanian 2018, arXiv:1710.11063, eq. 5, 10, 12 and 20.
    With g = dS/dA the derivatives of Y are exp(S) g, exp(S) g^2, exp(S) g^3 (eq. 13, 17, 18), so that (eq. 19)
    alpha = 1 / (2 + g sum_ab A_ab) where g is not 0, and exp(S) is left as one positive factor of the whole map.
    With a rival class S is the difference of the two logits, so that Y is the odds between the two.
    Differs from the paper: this factor is left out. It overflows from S = 89 on, and says nothing about where. Maps of
    two images can therefore be compared in shape and not in size. Eq. 17 and 18 need layers after A that are linear or
    ReLU; where they are not (swish, gelu) eq. 19 is taken all the same, as an approximation. Where activations may be
    negative the denominator can come close to 0, and a few places outweigh all others; where it is 0, alpha is 0.

    Parameters: `layer` with activations (h, w, K); left out: the model's last one with a spatial activation.
    Returns maps (N, H, W), >= 0, enlarged bilinearly from (h, w).
    Raises CannotExplain where no layer has a spatial activation.
    """

    registration: ClassVar[Registration] = Registration(
        name="grad_cam_pp",
        title="Grad-CAM++",
        family="cam",
        question="Which regions of the image speak for the class?",
        paper="Chattopadhay et al. 2018, arXiv:1710.11063",
        explains="logit",
        channels="none",
        signed=False,
        needs=("layer_gradients",),
        cost="1 gradient",
        requires=(SPATIAL,),
        sensitivity_options=(("layer", Another.LAYER),),
        contract_options=(("layer", "early"),),
        contrast=True,
    )

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return gradient_maps(model, images, targets, "Grad-CAM++", class_activation_map, self.layer)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


def class_activation_map(layer: LayerGradients) -> FloatArray:
    """(N, h, w, K) activations and gradients of the logit -> (N, h, w) map, >= 0, without its factor exp(S)."""
    positive = np.maximum(layer.gradients, 0).astype(np.float64)
    denominator = positive * layer.activations.sum(axis=(1, 2), keepdims=True, dtype=np.float64)
    denominator += 2
    denominator[denominator == 0] = np.inf
    weights = np.divide(positive, denominator, out=positive).sum(axis=(1, 2))[:, :, None].astype(np.float32)
    n, *places, channels = layer.activations.shape
    maps = layer.activations.reshape(n, -1, channels) @ weights
    return np.maximum(maps, 0).reshape(n, *places)


METHODS = (GradCamPlusPlus,)
