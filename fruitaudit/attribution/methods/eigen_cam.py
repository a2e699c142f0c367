from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, SPATIAL, Another, Diagnostic, Model, Passes, Registration, Shape
from fruitaudit.attribution.cams import activations, enlarged, layer_for
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

ROUNDS = 12
"""Of the power iteration."""
CLOSE = 1e-5
"""|A^T A v - largest v| / largest. v is off by that divided by 1 - second / largest eigenvalue, at most."""
_TINY = 1e-30


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
        needs=("activations",),
        cost="1 forward",
        requires=(SPATIAL,),
        diagnostics=(Diagnostic("share", "share"),),
        sensitivity_options=(("layer", Another.LAYER),),
        contract_options=(("layer", "early"),),
    )

    layer: str | None = None

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        path = layer_for(model, self.layer, "Eigen-CAM")
        patterns, share = eigen_cams(activations(model, images.values, path))
        maps = enlarged(patterns, images, path)
        return Maps(maps.values, {"share": share}, maps.notes)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images)


def eigen_cams(activations: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(N, h, w, K) -> maps (N, h, w), >= 0, and the share (N,) of squared size that each stands for.

    By the power iteration for all images at once, which takes a tenth of the time of N eigenvalue problems. What it
    arrives at is the strongest pattern where it makes up more than half of the squared size, as no other then can.
    Where it does not, or is not there after a few rounds, the eigenvalue problem of that image is solved.
    """
    largest_number = np.maximum(abs(activations).max(axis=(1, 2, 3)), _TINY)  # so that float32 holds the squares
    places = (activations / largest_number[:, None, None, None]).reshape(len(activations), -1, activations.shape[-1])
    total = np.square(places, dtype=np.float64).sum(axis=(1, 2))
    pattern = places.mean(axis=1)[:, :, None]
    for _ in range(ROUNDS):
        last_pattern = pattern = pattern / np.maximum(np.linalg.norm(pattern, axis=1, keepdims=True), _TINY)
        projected = places @ pattern
        pattern = places.transpose(0, 2, 1) @ projected
    largest = np.square(projected, dtype=np.float64).sum(axis=(1, 2))
    residual = np.linalg.norm(pattern - largest[:, None, None] * last_pattern, axis=(1, 2))
    share = largest / np.maximum(total, _TINY)
    projected = projected[:, :, 0]
    converged = (share > 0.5) & (residual <= CLOSE * largest)
    for i in np.flatnonzero((total > 0) & ~converged):
        projected[i], share[i] = eigen_cam(places[i])
    projected *= (np.where(projected.sum(axis=1) >= 0, 1, -1) * largest_number)[:, None]
    return np.maximum(projected, 0).reshape(activations.shape[:3]), share.astype(np.float32)


def eigen_cam(places: FloatArray) -> tuple[FloatArray, float]:
    """Of one image's activations (places, K), not all 0: A v_1, whatever its sign, and its share of squared size."""
    exact = places.astype(np.float64)
    # The eigenvectors of the smaller of the two Gram matrices give the same pattern as the singular value
    # decomposition, in a tenth of the time.
    wide = exact.shape[1] > exact.shape[0]
    values, vectors = np.linalg.eigh(exact @ exact.T if wide else exact.T @ exact)
    projected = vectors[:, -1] * np.sqrt(max(values[-1], 0.0)) if wide else exact @ vectors[:, -1]
    return projected.astype(np.float32), float(values[-1] / np.square(exact).sum())


METHODS = (EigenCam,)
