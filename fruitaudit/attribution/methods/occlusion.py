from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.baselines import Hide, hidden
from fruitaudit.attribution.passes import rows
from fruitaudit.attribution.scores import ExplainedScore, scores_of
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class Occlusion:
    """How much of the class's score is lost when a patch hides part of the image.

    M_ij = mean over the windows w that cover pixel ij of  f_k(x) - f_k(x with w filled),  f_k probability or logit.
    Paper: Zeiler, Fergus 2014, arXiv:1311.2901, sec. 4.2.
    Differs from the paper: it draws p_k itself at each position of the patch; here the drop is given, per pixel.
    Probabilities saturate: on an image with p_k near 1 small patches may lose nothing, where logits still do.

    Parameters: `patch` side of the square in pixels; `stride` between windows, 1..patch, left out: half the patch,
    rounded up; `fill` a colour within the data's range, "mean" being the image's own, or the image blurred by a tenth
    of its shorter side; `explains` f. The last window of a row or column ends at the border, so that every pixel is
    covered and every window is whole.
    Returns maps (N, H, W) in what it explains, positive where hiding the pixel hurts the class.
    Raises CannotExplain where the patch is larger than the image.
    """

    registration: ClassVar[Registration] = Registration(
        name="occlusion",
        title="Occlusion",
        family="perturbation",
        question="How much does the class lose when this part of the image is hidden?",
        paper="Zeiler and Fergus 2014, arXiv:1311.2901",
        explains="probability",
        channels="none",
        signed=True,
        needs=("scores",),
        linear=True,
        quick_options=(("patch", 4),),
        cost="1 + ((H - patch) / stride + 1) x ((W - patch) / stride + 1) forward, both rounded up",
        contrast=True,
        sensitivity_options=(("patch", 5), ("stride", 3), ("fill", "white"), ("explains", "logit")),
    )

    patch: Annotated[int, Field(ge=1)] = 8
    stride: Annotated[int, Field(ge=1)] | None = None
    fill: Hide = "grey"
    explains: ExplainedScore = "probability"

    def __post_init__(self) -> None:
        if self.stride is not None and self.stride > self.patch:
            raise ValueError("stride must not be larger than patch, or pixels between the windows are never hidden")

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        height, width = images.values.shape[1:3]
        corners = self._corners(height, width)
        baseline = hidden(images, self.fill)
        unchanged_scores = scores_of(model, images.values, targets, self.explains)
        drops = np.empty((len(images), len(corners)), np.float32)
        for image, window in rows(len(images), len(corners), model.batch_size):
            values = images.values[image]
            for row, (i, (top, left)) in enumerate(zip(image, corners[window], strict=True)):
                area = np.s_[top : top + self.patch, left : left + self.patch]
                values[row][area] = baseline[i][area]
            drops[image, window] = unchanged_scores[image] - scores_of(
                model, values, targets.select(image), self.explains
            )
        return Maps(self._mean_over_windows(drops, corners, height, width))

    def _corners(self, height: int, width: int) -> IntArray:
        """(windows, 2) top and left of every window."""
        if self.patch > min(height, width):
            raise CannotExplain(
                f"occlusion: a patch of {self.patch} pixels does not fit an image of {height} x {width}; "
                "set a smaller patch"
            )
        stride = self.stride or (self.patch + 1) // 2
        tops, lefts = ([*range(0, side - self.patch, stride), side - self.patch] for side in (height, width))
        return np.array([(top, left) for top in tops for left in lefts], dtype=np.int64)

    def _mean_over_windows(self, drops: FloatArray, corners: IntArray, height: int, width: int) -> FloatArray:
        total = np.zeros((len(drops), height, width))
        windows = np.zeros((height, width))
        for (top, left), drop in zip(corners, drops.T, strict=True):
            area = np.s_[..., top : top + self.patch, left : left + self.patch]
            total[area] += drop[:, None, None]
            windows[area] += 1
        return (total / windows).astype(np.float32)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * (1 + len(self._corners(*input_shape[:2]))))


METHODS = (Occlusion,)
