from __future__ import annotations

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import (
    ONLY_RELUS,
    OPTIONS,
    SPATIAL,
    Another,
    Model,
    Passes,
    Registration,
    Shape,
    reduce_channels,
)
from fruitaudit.attribution.cams import gradient_maps
from fruitaudit.attribution.methods.grad_cam import grad_cam
from fruitaudit.attribution.methods.guided_backprop import GUIDED, modified_gradients
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class GuidedGradCam:
    """The details of guided backpropagation, kept where Grad-CAM sees the class.

    M = G * enlarged(relu(sum_k w_k A^k)),  w_k the mean over (h, w) of dS/dA^k, G by guided backpropagation.
    Paper: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2016, arXiv:1610.02391, eq. 1-2 and sec. 3.2.
    Differs from the paper: S is the logit, as there; the joined map is one number per pixel, see `channels`.

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
        needs=("layer_gradients", "backward_rules"),
        cost="2 gradients",
        requires=(SPATIAL, ONLY_RELUS),
        sensitivity_options=(("layer", Another.LAYER), ("channels", "sum")),
        contract_options=(("layer", "early"),),
        contrast=True,
    )

    layer: str | None = None
    channels: Literal["maxabs", "l2", "sum"] = "maxabs"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        regions = gradient_maps(model, images, targets, "Guided Grad-CAM", grad_cam, self.layer)
        guided = modified_gradients(model, images, targets, GUIDED)
        return Maps(reduce_channels(guided, self.channels) * regions.values, notes=regions.notes)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=2 * n_images)


METHODS = (GuidedGradCam,)
