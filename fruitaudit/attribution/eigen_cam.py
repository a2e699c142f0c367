from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import activations, enlarged, layer_for
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime import Streams


@dataclass(frozen=True, config=OPTIONS)
class EigenCam:
    """Where the layer answers along its strongest pattern, whatever the class: what catches the model's eye.

    L = A v_1,  A (places, K) = U S V^T the layer's activations of one image, v_1 the first column of V.
    Paper: Muhammad, Yeasin 2020, arXiv:2008.00299, sec. III.
    Differs from the paper: v_1 has no sign of its own and gets the one with which L adds up to more than 0; what is
    below 0 then (only where activations may be negative) is set to 0.

    Parameters: `layer` with activations (h, w, K); left out: the model's last one with a spatial activation.
    Returns maps (N, H, W), >= 0, in units of the activation, enlarged bilinearly; the same for every class. As a
    diagnostic `share` of the activations' squared size that the pattern makes up, 0..1.
    Raises CannotExplain where no layer has a spatial activation.
    """

    registration: ClassVar[Registration] = Registration(
        name="eigen_cam",
        title="Eigen-CAM",
        family="cam",
        question="What in the image catches the model's eye, whatever the class?",
        paper="Muhammad and Yeasin 2020, arXiv:2008.00299",
        explains="activation",
        channels="none",
        signed=False,
        cost="1 forward",
        needs="a layer with a spatial activation",
        option_that_changes=(("layer", "early"),),
    )

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        path = layer_for(model, self.layer, "Eigen-CAM")
        made = [eigen_cam(one) for one in activations(model, images.values, path)]
        maps = enlarged(np.stack([m for m, _ in made]), images, path)
        return Maps(maps.values, {"share": np.array([share for _, share in made], np.float32)}, maps.notes)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images)


def eigen_cam(activation: FloatArray) -> tuple[FloatArray, float]:
    """(h, w, K) of one image -> map (h, w), >= 0, and the share of squared size it stands for."""
    places = activation.reshape(-1, activation.shape[-1]).astype(np.float64)
    # The eigenvectors of the smaller of the two Gram matrices give the same pattern as the singular value
    # decomposition, in a tenth of the time.
    wide = places.shape[1] > places.shape[0]
    values, vectors = np.linalg.eigh(places @ places.T if wide else places.T @ places)
    largest = max(values[-1], 0.0)
    projected = vectors[:, -1] * np.sqrt(largest) if wide else places @ vectors[:, -1]
    projected = projected if projected.sum() >= 0 else -projected
    total = np.square(places).sum()
    share = float(largest / total) if total > 0 else 0.0
    return np.maximum(projected, 0).reshape(activation.shape[:2]).astype(np.float32), share


METHODS = (EigenCam,)
