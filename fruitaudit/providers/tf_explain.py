"""Saliency, Grad-CAM, integrated gradients, occlusion by tf-explain: what it computes before it paints pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Another, Model, Passes, Registration, Shape, reduce_channels
from fruitaudit.attribution.cams import enlarged, layer_for
from fruitaudit.attribution.methods.grad_cam import GradCam
from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.attribution.methods.occlusion import Occlusion
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.errors import CannotExplain
from fruitaudit.providers.keras_network import NEEDS, explained_by, network_of, quiet
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Explains, Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class SaliencyByTfExplain:
    """`tf_explain.core.vanilla_gradients.VanillaGradients`: its gradient, not its uint8 picture.

    Differs from the native one: the gradient is that of the model's output, or of what an activation layer at the end
    gets; where the last layer has its softmax inside, it is that of the probability.
    """

    registration: ClassVar[Registration] = replace(
        Saliency.registration,
        provider="tf-explain",
        package="tf-explain",
        needs=NEEDS,
        explains="probability",
        sensitivity_options=(),
        caveat="explains the probability where softmax is part of the last layer: r 0.55 to 0.97 with the gradient of "
        "the logit on 16 shop photos",
    )
    fixed: ClassVar[dict[str, Any]] = {"channels": "maxabs"}

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_explain.core.vanilla_gradients import VanillaGradients

        explainer, network = VanillaGradients(), _score_model(model)
        gradients = _class_by_class(
            images, targets, lambda values, k: explainer.compute_gradients(values, network, k).numpy()
        )
        return Maps(reduce_channels(gradients, "maxabs"))

    def explains_on(self, model: Model) -> Explains:
        return explained_by(_score_model(model), model)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


def _score_model(model: Model) -> Any:
    """What the library makes of the model: without its last layer, where that is an activation."""
    from tf_explain.core.vanilla_gradients import VanillaGradients

    with quiet():
        return VanillaGradients().get_score_model(network_of(model))


@dataclass(frozen=True, config=OPTIONS)
class GradCamByTfExplain:
    """`tf_explain.core.grad_cam.GradCAM` at the layer named: its map, not its picture.

    Differs from the native one: the gradient is that of the model's output, whatever it is, its negative values are set
    to 0 before they are averaged ("guided"), and the map keeps its sign.
    """

    registration: ClassVar[Registration] = replace(
        GradCam.registration,
        provider="tf-explain",
        package="tf-explain",
        needs=NEEDS,
        explains="probability",
        signed=True,
        sensitivity_options=(("layer", Another.LAYER),),
        contract_options=(("layer", "early"),),
        caveat="sets negative gradients to 0 before it averages them, and explains the probability where softmax is "
        "part of the last layer: r 0.15 to 0.98 with Grad-CAM of the logit on 16 shop photos",
    )
    fixed: ClassVar[dict[str, Any]] = {"depths": 0}

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_explain.core.grad_cam import GradCAM

        from fruitaudit.models.keras.backend import keras

        path = layer_for(model, self.layer, "Grad-CAM")
        network = network_of(model)
        # A functional copy: a Sequential has no `output`, and one that was loaded no gradient between its layers.
        clone = keras.models.clone_model(network)
        clone.set_weights(network.get_weights())
        copy = keras.Model(clone.inputs, clone.outputs[0])
        if path not in {inner.name for inner in copy.layers}:
            raise CannotExplain(f"tf-explain does not reach layer {path}, which lies inside a nested model")
        maps: list[FloatArray] = []
        with quiet():
            for values, k in zip(images.values, targets.classes, strict=True):
                outputs, gradients = GradCAM.get_gradients_and_filters(copy, values[None], path, int(k), True)
                maps.append(GradCAM.generate_ponderated_output(outputs, gradients)[0].numpy())
        return enlarged(np.stack(maps), images, path)

    def explains_on(self, model: Model) -> Explains:
        return explained_by(network_of(model), model)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images)


@dataclass(frozen=True, config=OPTIONS)
class IntegratedGradientsByTfExplain:
    """`tf_explain.core.integrated_gradients.IntegratedGradients`: its map, not its uint8 picture.

    Differs from the native one: the gradient is averaged and never multiplied by (x - b); b is 0; the model's output
    is explained, whatever it is.
    """

    registration: ClassVar[Registration] = replace(
        IntegratedGradients.registration,
        provider="tf-explain",
        package="tf-explain",
        needs=NEEDS,
        explains="probability",
        sensitivity_options=(("steps", 3),),
        quick_options=(("steps", 5),),
        caveat="never multiplies by (x - baseline), so that its sum is not the difference of the scores: r 0.07 to "
        "0.78 with integrated gradients of the logit on 16 shop photos",
    )
    fixed: ClassVar[dict[str, Any]] = {"baseline": "black"}

    steps: Annotated[int, Field(ge=2)] = 25

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_explain.core.integrated_gradients import IntegratedGradients as TfExplainGradients

        network = network_of(model)

        def integrate(values: FloatArray, k: Any) -> FloatArray:
            path = TfExplainGradients.generate_interpolations(values, self.steps)
            return TfExplainGradients.get_integrated_gradients(path, network, k, self.steps).numpy()

        return Maps(reduce_channels(_class_by_class(images, targets, integrate), "sum"))

    def explains_on(self, model: Model) -> Explains:
        return explained_by(network_of(model), model)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images * self.steps)


@dataclass(frozen=True, config=OPTIONS)
class OcclusionByTfExplain:
    """`tf_explain.core.occlusion_sensitivity.OcclusionSensitivity`: its map, not its picture.

    Differs from the native one: 1 - p_k instead of the drop, the fill is the number 127.5 whatever the input's range,
    windows do not overlap, height and width are mixed up.
    Raises CannotExplain for images that are not square and for models whose outputs are no probabilities.
    """

    registration: ClassVar[Registration] = replace(
        Occlusion.registration,
        provider="tf-explain",
        package="tf-explain",
        needs=NEEDS,
        signed=False,
        sensitivity_options=(("patch", 3),),
        quick_options=(),
        caveat="hides with the number 127.5 whatever the input's range, and swaps height and width: r -0.02 to 0.31 "
        "with the drop of probability on 14 of 16 shop photos in 0..1",
    )

    patch: Annotated[int, Field(ge=1)] = 8

    @property
    def fixed(self) -> dict[str, Any]:
        return {"stride": self.patch, "fill": "grey", "explains": "probability"}

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity

        network = network_of(model, opens_model=False)
        height, width = images.values.shape[1:3]
        if height != width:
            raise CannotExplain(f"tf-explain swaps height and width, which are {height} and {width} pixels here; use "
                                "the native method instead")  # fmt: skip
        with quiet():
            output = np.asarray(network(images.values[:1], training=False))
        if not np.allclose(output, model.probabilities(images.values[:1]), atol=1e-2):
            raise CannotExplain("tf-explain takes the model's output from 1, and this model's outputs are no "
                                "probabilities; use the native method instead")  # fmt: skip
        explainer = OcclusionSensitivity(batch_size=model.batch_size)
        with quiet():
            maps = [
                explainer.get_sensitivity_map(network, values, int(k), self.patch)
                for values, k in zip(images.values, targets.classes, strict=True)
            ]
        return Maps(np.stack(maps).astype(np.float32))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        windows = -(-input_shape[0] // self.patch) * -(-input_shape[1] // self.patch)
        return Passes(forward=n_images * windows)


def _class_by_class(images: Images, targets: Targets, explain: Callable[[FloatArray, Any], FloatArray]) -> FloatArray:
    """(N, H, W, C): the library explains one class per call."""
    gradients = np.empty_like(images.values)
    for k in np.unique(targets.classes):
        of_class = targets.classes == k
        gradients[of_class] = explain(images.values[of_class], k)
    return gradients


METHODS = (SaliencyByTfExplain, GradCamByTfExplain, IntegratedGradientsByTfExplain, OcclusionByTfExplain)
