from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, SPATIAL, Another, Diagnostic, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import activations, enlarged, layer_for
from fruitaudit.attribution.passes import ahead, bilinear, by_number, rows, runs
from fruitaudit.attribution.scores import pick
from fruitaudit.models.layers import layer_at
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class ScoreCam:
    """Which regions speak for the class, each feature map weighed by the score of the image seen through it alone.

    L = relu(sum_k alpha_k A^k),  alpha = softmax_k(S(x o H^k) - S(black)),
    H^k = A^k enlarged to the image and brought to 0..1, S the logit.
    Paper: Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu 2019, arXiv:1910.01279, eq. 5-8 and algorithm 1.
    Differs from the paper: S(black), the same for every k, is left out, as softmax does not see it. What a mask hides
    becomes black, also where the model's black is not 0. As in the authors' code, a feature map that is the same
    everywhere is no mask and has no weight. Softmax is taken once, over the feature maps: logits that lie far apart
    leave the weight to a single map.

    Parameters: `layer` with activations (h, w, K); left out: the model's last one with a spatial activation.
    Returns maps (N, H, W), >= 0, in units of the activation, enlarged bilinearly from (h, w). As a diagnostic
    `largest_weight`, the largest alpha: near 1, a single feature map is shown.
    Raises CannotExplain where no layer has a spatial activation.
    """

    registration: ClassVar[Registration] = Registration(
        name="score_cam",
        title="Score-CAM",
        family="cam",
        question="Which regions, seen alone, keep the class's score high?",
        paper="Wang et al. 2019, arXiv:1910.01279",
        explains="logit",
        channels="none",
        signed=False,
        needs=("scores", "activations"),
        cost="at most 1 + feature maps of the layer, forward",
        upper_bound=True,
        requires=(SPATIAL,),
        diagnostics=(Diagnostic("largest_weight", "largest weight"),),
        sensitivity_options=(("layer", Another.LAYER),),
        contract_options=(("layer", "early"),),
        contrast=True,
    )

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        path = layer_for(model, self.layer, "Score-CAM")
        inside = activations(model, images.values, path)
        masks, is_mask = _unit_masks(inside)
        image, channel = np.nonzero(is_mask)
        scores = np.full(is_mask.shape, -np.inf)

        def batch(variants: IntArray) -> tuple[IntArray, FloatArray]:
            return variants, _masked_images(images, masks, image[variants], channel[variants])

        batches = (variant for _, variant in rows(1, len(image), model.batch_size))
        for variants, masked_images in ahead(map(batch, batches)):
            scores[image[variants], channel[variants]] = pick(
                model.logits(masked_images), targets.select(image[variants])
            )
        weights = _softmax(scores)
        maps = np.maximum(np.einsum("nhwk,nk->nhw", inside.astype(np.float64), weights), 0).astype(np.float32)
        enlarged_maps = enlarged(maps, images, path)
        return Maps(
            enlarged_maps.values, {"largest_weight": weights.max(axis=1).astype(np.float32)}, enlarged_maps.notes
        )

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images)

    def passes_on(self, model: Model, n_images: int) -> Passes:
        """One pass for the feature maps, and one through each of them that is a mask."""
        path = layer_for(model, self.layer, "Score-CAM")
        return Passes(forward=n_images * (1 + layer_at(model.layers, path, model.hidden_layers).n_channels))


def _unit_masks(inside: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """(N, h, w, K) in 0..1, and (N, K) whether the map differs from place to place."""
    low, high = inside.min(axis=(1, 2), keepdims=True), inside.max(axis=(1, 2), keepdims=True)
    span = high - low
    return (inside - low) / np.where(span > 0, span, 1), (span > 0)[:, 0, 0]


def _masked_images(images: Images, masks: FloatArray, image: IntArray, channel: IntArray) -> FloatArray:
    """(B, H, W, C): what is left of each image behind the mask, on black."""
    _, height, width, channels = images.values.shape
    enlarged_masks = [bilinear(masks[i, :, :, k], height, width) for i, k in zip(image, channel, strict=True)]
    masked_images = by_number(np.stack(enlarged_masks), channels)
    for i, variants in runs(image):
        masked_images[variants] *= images.values[i] - images.low
    masked_images += np.broadcast_to(images.low, masked_images.shape[1:]).astype(np.float32, order="C")
    return masked_images


def _softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Over the last axis; a row of -inf alone becomes 0."""
    largest = scores.max(axis=1, keepdims=True)
    powers = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
    total = powers.sum(axis=1, keepdims=True)
    return powers / np.where(total > 0, total, 1)


METHODS = (ScoreCam,)
