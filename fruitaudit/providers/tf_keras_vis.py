"""Saliency, SmoothGrad and class activation maps by tf-keras-vis, on a copy of the model with a linear head."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Another, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import layer_for
from fruitaudit.attribution.methods.grad_cam import GradCam
from fruitaudit.attribution.methods.grad_cam_pp import GradCamPlusPlus
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.attribution.methods.score_cam import ScoreCam
from fruitaudit.attribution.methods.smoothgrad import SmoothGrad
from fruitaudit.errors import CannotExplain
from fruitaudit.providers.keras_network import NEEDS, quiet, with_linear_head
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class SaliencyByTfKerasVis:
    """`tf_keras_vis.saliency.Saliency`, map not normalised. Differs from the native one: nothing."""

    registration: ClassVar[Registration] = replace(
        Saliency.registration, provider="tf-keras-vis", package="tf-keras-vis", needs=NEEDS, sensitivity_options=()
    )
    fixed: ClassVar[dict[str, Any]] = {"channels": "maxabs"}

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return Maps(_saliency(with_linear_head(model, images.values), images.values, targets))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


@dataclass(frozen=True, config=OPTIONS)
class SmoothGradByTfKerasVis:
    """`tf_keras_vis.saliency.Saliency` with `smooth_samples`, one image per call, so that each has its own noise.

    Differs from the native one: absolute gradients are averaged, and noise is a share of the image's own range.
    """

    registration: ClassVar[Registration] = replace(
        SmoothGrad.registration,
        provider="tf-keras-vis",
        package="tf-keras-vis",
        needs=NEEDS,
        sensitivity_options=(("samples", 7), ("noise", 0.05)),
        caveat="averages absolute gradients, where the paper averages gradients: r 0.79 to 0.89 between the two on 16 "
        "shop photos",
    )
    fixed: ClassVar[dict[str, Any]] = {"channels": "maxabs"}

    samples: Annotated[int, Field(ge=1)] = 20
    noise: Annotated[float, Field(ge=0, le=1)] = 0.2

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        network = with_linear_head(model, images.values)
        state = np.random.get_state()
        maps = []
        try:
            for i, sample_id in enumerate(images.sample_ids):
                # The library draws from NumPy's global stream, which it does not seed.
                np.random.seed(streams.integer("smoothgrad", "tf-keras-vis", sample_id, bits=32))
                image_and_target = images.values[i : i + 1], Targets(targets.classes[i : i + 1])
                maps.append(_saliency(network, *image_and_target, smooth_samples=self.samples, smooth_noise=self.noise))
        finally:
            np.random.set_state(state)
        return Maps(np.concatenate(maps))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images * self.samples)


@dataclass(frozen=True, config=OPTIONS)
class GradCamPlusPlusByTfKerasVis:
    """`tf_keras_vis.gradcam_plus_plus.GradcamPlusPlus` at the layer named, map not normalised.

    Differs from the native one: alphas are divided by their sum over the layer, and exp(S) stays in the map.
    """

    registration: ClassVar[Registration] = replace(
        GradCamPlusPlus.registration,
        provider="tf-keras-vis",
        package="tf-keras-vis",
        needs=NEEDS,
        caveat="divides alpha by its sum, which eq. 19 of the paper does not (r -0.62 to 0.97 with the paper's map on "
        "16 shop photos), and is not finite for logits of 89 and more",
    )

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus

        return Maps(_class_activation(GradcamPlusPlus, "Grad-CAM++", self.layer, model, images, targets))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


@dataclass(frozen=True, config=OPTIONS)
class GradCamByTfKerasVis:
    """`tf_keras_vis.gradcam.Gradcam` at the layer named, map not normalised.

    Differs from the native one: only in the way of enlarging.
    """

    registration: ClassVar[Registration] = replace(
        GradCam.registration,
        provider="tf-keras-vis",
        package="tf-keras-vis",
        needs=NEEDS,
        sensitivity_options=(("layer", Another.LAYER),),
        contract_options=(("layer", "early"),),
    )
    fixed: ClassVar[dict[str, Any]] = {"depths": 0}

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_keras_vis.gradcam import Gradcam

        return Maps(_class_activation(Gradcam, "Grad-CAM", self.layer, model, images, targets))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


@dataclass(frozen=True, config=OPTIONS)
class ScoreCamByTfKerasVis:
    """`tf_keras_vis.scorecam.Scorecam` at the layer named, map not normalised.

    Differs from the native one: the weights are probabilities of the class, softmax over classes being part of the
    library, and no softmax over feature maps is taken.
    """

    registration: ClassVar[Registration] = replace(
        ScoreCam.registration,
        provider="tf-keras-vis",
        package="tf-keras-vis",
        needs=NEEDS,
        explains="probability",
        contrast=False,
        caveat="weighs each feature map by the probability of the class, where the paper takes softmax of the logits "
        "over the maps: r 0.35 to 0.97 with the paper's map on 16 shop photos",
    )

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_keras_vis.scorecam import Scorecam

        # One image per call: the library holds all masked copies of all images at once.
        maps = [
            _class_activation(Scorecam, "Score-CAM", self.layer, model, image, targets.select(slice(i, i + 1)))
            for i, image in enumerate(images.one_by_one())
        ]
        return Maps(np.concatenate(maps))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images)

    def passes_on(self, model: Model, n_images: int) -> Passes:
        """As the native one."""
        return ScoreCam(self.layer).passes_on(model, n_images)


def _class_activation(
    visualizer: Any, title: str, layer: str | None, model: Model, images: Images, targets: Targets
) -> FloatArray:
    from tf_keras_vis.utils.scores import CategoricalScore

    path = layer_for(model, layer, title)
    network = with_linear_head(model, images.values)
    if path not in {inner.name for inner in network.layers}:
        raise CannotExplain(f"tf-keras-vis does not reach layer {path}, which lies inside a nested model")
    with quiet():
        maps = visualizer(network)(
            CategoricalScore(targets.classes.tolist()),
            images.values,
            penultimate_layer=path,
            seek_penultimate_conv_layer=False,
            normalize_cam=False,
        )
    return np.asarray(maps, np.float32)


def _saliency(network: Any, values: FloatArray, targets: Targets, **options: Any) -> FloatArray:
    from tf_keras_vis.saliency import Saliency as TfKerasVisSaliency
    from tf_keras_vis.utils.scores import CategoricalScore

    with quiet():
        maps = TfKerasVisSaliency(network)(
            CategoricalScore(targets.classes.tolist()), values, normalize_map=False, **options
        )
    return np.asarray(maps, np.float32)


METHODS = (
    SaliencyByTfKerasVis,
    SmoothGradByTfKerasVis,
    GradCamByTfKerasVis,
    GradCamPlusPlusByTfKerasVis,
    ScoreCamByTfKerasVis,
)
