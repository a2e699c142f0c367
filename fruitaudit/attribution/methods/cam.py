from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, POOLING_HEAD, Layer, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import enlarged, layer_for
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

TOLERANCE = 1e-3
"""Of the largest value; float16 has 3 digits."""


@dataclass(frozen=True, config=OPTIONS)
class Cam:
    """Where the evidence for and against the class lies, exactly: the logit is the mean of the map, plus a constant.

    M_ij = sum_k w_k^c A_ij^k,  S_c = 1/Z sum_ij M_ij + b_c.
    Paper: Zhou, Khosla, Lapedriza, Oliva, Torralba 2015, arXiv:1512.04150, eq. 1 and 2.
    Differs from the paper: nothing. Holds only for heads of global average pooling and one dense layer, which is
    checked on every image: the pooled map must be what the dense layer gets, and it must give the logits (up to a
    constant per image, which softmax does not see).

    Returns maps (N, H, W), signed, in logit, enlarged bilinearly from (h, w).
    Raises CannotExplain for any other head, and where what is pooled is a single place.
    """

    registration: ClassVar[Registration] = Registration(
        name="cam",
        title="CAM",
        family="cam",
        question="Which regions add to the class's score, and which take from it?",
        paper="Zhou et al. 2015, arXiv:1512.04150",
        explains="logit",
        channels="none",
        signed=True,
        needs=("scores", "activations", "weights"),
        linear=True,
        cost="1 forward",
        requires=(POOLING_HEAD,),
        contrast=True,
    )

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        path = layer_for(model, None, "CAM")
        dense = _last_dense(model)
        weights, bias = _class_weights(*model.weights(dense.path))
        outputs = model.forward(images.values, (path, None))
        inside, pooled = outputs.layers
        recomputed = pooled @ weights + bias if pooled.shape[-1] == len(weights) else None
        means = inside.mean(axis=(1, 2))
        if recomputed is None or not (_equal(means, pooled) and _equal(_centred(recomputed), _centred(outputs.logits))):
            raise _one_place(images) if _pools_one_place(model) else _other_head()
        class_weights = weights[:, targets.classes]
        if targets.against is not None:
            class_weights = class_weights - weights[:, targets.against]
        maps = np.einsum("nhwk,kn->nhw", inside, class_weights)
        return enlarged(maps, images, path)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images)


def _other_head() -> CannotExplain:
    return CannotExplain("CAM needs global average pooling straight after the last layer with places, and one dense "
                         "layer after it, which this model does not have; use Grad-CAM (grad_cam) instead")  # fmt: skip


def _pools_one_place(model: Model) -> bool:
    """Whether the last global average pooling gets a map of 1 x 1, as deep networks do on small images."""
    pools = [one for one in model.layers if one.role == "global average pooling"]
    return bool(pools) and pools[-1].input_shape[:2] == (1, 1)


def _one_place(images: Images) -> CannotExplain:
    height, width = images.values.shape[1:3]
    return CannotExplain("CAM shows the map that global average pooling gets, which for images of "
                         f"{height} x {width} is 1 x 1 in this model, so that there is no place to tell; use Grad-CAM "
                         "(grad_cam) instead")  # fmt: skip


def _last_dense(model: Model) -> Layer:
    dense_layers = [layer for layer in model.layers if layer.role == "dense"]
    if not dense_layers or len(dense_layers[-1].shape) != 1:
        raise _other_head()
    return dense_layers[-1]


def _class_weights(kernel: FloatArray, own_bias: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """(K, classes) and (classes,): one unit z is two classes with logits -z/2 and +z/2."""
    bias = np.zeros(kernel.shape[1], np.float32) if own_bias is None else own_bias
    if kernel.shape[1] > 1:
        return kernel, bias
    return np.concatenate([-kernel / 2, kernel / 2], axis=1), np.concatenate([-bias / 2, bias / 2])


def _centred(logits: FloatArray) -> FloatArray:
    return logits - logits.mean(axis=1, keepdims=True)


def _equal(a: FloatArray, b: FloatArray) -> bool:
    return a.shape == b.shape and float(np.abs(a - b).max()) <= TOLERANCE * max(float(np.abs(a).max()), 1e-6)


METHODS = (Cam,)
