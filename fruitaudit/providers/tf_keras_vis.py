"""Saliency, SmoothGrad and Grad-CAM++ by tf-keras-vis, on a copy of the model with a linear head."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.grad_cam_pp import GradCamPlusPlus
from fruitaudit.attribution.saliency import Saliency
from fruitaudit.attribution.smoothgrad import SmoothGrad
from fruitaudit.errors import CannotExplain
from fruitaudit.providers.keras_network import hushed, with_linear_head
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime import Streams


@dataclass(frozen=True, config=OPTIONS)
class SaliencyByTfKerasVis:
    """`tf_keras_vis.saliency.Saliency`, map not normalised. Differs from the native one: nothing."""

    registration: ClassVar[Registration] = replace(
        Saliency.registration, provider="tf-keras-vis", package="tf-keras-vis", option_that_changes=()
    )

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        return Maps(_saliency(with_linear_head(model, images.values), images.values, targets))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


@dataclass(frozen=True, config=OPTIONS)
class SmoothGradByTfKerasVis:
    """`tf_keras_vis.saliency.Saliency` with `smooth_samples`, one image a call, so that each has its own noise.

    Differs from the native one: absolute gradients are averaged, and noise is a share of the image's own range.
    """

    registration: ClassVar[Registration] = replace(
        SmoothGrad.registration,
        provider="tf-keras-vis",
        package="tf-keras-vis",
        option_that_changes=(("samples", 7), ("noise", 0.05)),
        caveat="averages absolute gradients, where the paper averages gradients: r 0.79 to 0.89 between the two on 16 "
        "shop photos",
    )

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
                one = images.values[i : i + 1], Targets(targets.classes[i : i + 1])
                maps.append(_saliency(network, *one, smooth_samples=self.samples, smooth_noise=self.noise))
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
        caveat="divides alpha by its sum, which eq. 19 of the paper does not (r -0.62 to 0.97 with the paper's map on "
        "16 shop photos), and is not finite for logits of 89 and more",
    )

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
        from tf_keras_vis.utils.scores import CategoricalScore

        layer = self.layer or model.cam_layer
        if layer is None:
            raise CannotExplain("Grad-CAM++ needs a layer with a spatial activation, and none is found in this model")
        network = with_linear_head(model, images.values)
        if layer not in {found.name for found in network.layers}:
            raise CannotExplain(f"tf-keras-vis does not reach layer {layer}, which lies inside a nested model")
        with hushed():
            made = GradcamPlusPlus(network)(
                CategoricalScore(targets.classes.tolist()),
                images.values,
                penultimate_layer=layer,
                seek_penultimate_conv_layer=False,
                normalize_cam=False,
            )
        return Maps(np.asarray(made, np.float32))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


def _saliency(network: Any, values: FloatArray, targets: Targets, **options: Any) -> FloatArray:
    from tf_keras_vis.saliency import Saliency as Theirs
    from tf_keras_vis.utils.scores import CategoricalScore

    with hushed():
        made = Theirs(network)(CategoricalScore(targets.classes.tolist()), values, normalize_map=False, **options)
    return np.asarray(made, np.float32)


METHODS = (SaliencyByTfKerasVis, SmoothGradByTfKerasVis, GradCamPlusPlusByTfKerasVis)
