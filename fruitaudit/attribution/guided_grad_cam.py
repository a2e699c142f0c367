from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, LayerGradients, Model, Passes, Registration, Shape, reduce_channels
from fruitaudit.attribution.guided_backprop import modified_gradients
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime import Streams


@dataclass(frozen=True, config=OPTIONS)
class GuidedGradCam:
    """The details of guided backpropagation, kept where Grad-CAM sees the class.

    M = G * enlarged(relu(sum_k w_k A^k)),  w_k the mean over (h, w) of dS/dA^k, G by guided backpropagation.
    Paper: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2016, arXiv:1610.02391, eq. 1-2 and sec. 3.2.
    Differs from the paper: S is the logit, as there; the joined map is one number a pixel, see `channels`.

    Parameters: `layer` with activations (h, w, K); left out: the model's last one with a spatial activation.
    `channels` joins the colour channels ("sum" keeps the sign).
    Returns maps (N, H, W), >= 0 unless `channels` is "sum".
    Raises CannotExplain where no layer has a spatial activation, or the network has other nonlinearities than ReLU.
    """

    registration: ClassVar[Registration] = Registration(
        name="guided_grad_cam",
        title="Guided Grad-CAM",
        family="backward",
        question="Which details of the image, in the regions that speak for the class, excite the network?",
        paper="Selvaraju et al. 2016, arXiv:1610.02391",
        explains="logit",
        channels="maxabs",
        signed=False,
        cost="2 gradients",
        needs="a layer with a spatial activation",
        option_that_changes=(("layer", "early"), ("channels", "sum")),
    )

    layer: str | None = None
    channels: Literal["maxabs", "l2", "sum"] = "maxabs"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        import cv2

        from fruitaudit.models.rules_relu import GUIDED

        layer = self.layer or model.cam_layer
        if layer is None:
            raise CannotExplain("guided Grad-CAM needs a layer with a spatial activation, and none is found in this "
                                "model; use guided_backprop or occlusion instead")  # fmt: skip
        guided = modified_gradients(model, images.values, targets.classes, GUIDED, "Guided backpropagation")
        regions = _grad_cam(model.layer_gradients(images.values, targets.classes, layer))
        size = images.values.shape[2], images.values.shape[1]
        enlarged = np.stack([cv2.resize(m, size, interpolation=cv2.INTER_LINEAR) for m in regions])
        return Maps(
            (reduce_channels(guided, self.channels) * enlarged).astype(np.float32),
            notes=(f"layer {layer}, {regions.shape[1]} x {regions.shape[2]}",),
        )

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=2 * n_images)


def _grad_cam(layer: LayerGradients) -> FloatArray:
    """(N, h, w): relu of the feature maps, weighted by the mean of their gradients."""
    weights = layer.gradients.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * layer.activations).sum(axis=-1), 0)


METHODS = (GuidedGradCam,)
