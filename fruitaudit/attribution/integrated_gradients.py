from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.fills import Fill, colour
from fruitaudit.attribution.passes import add_per_image, rows
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime import Streams


@dataclass(frozen=True, config=OPTIONS)
class IntegratedGradients:
    """How much each pixel adds to the class score on the way from an empty image to this one.

    IG_i(x) = (x_i - b_i) * 1/m * sum_k dF/dx_i (b + t_k (x - b)),  t_k = (k + 1/2) / m, F the logit of the class.
    Paper: Sundararajan, Taly, Yan 2017, arXiv:1703.01365, eq. 1-3.
    Differs from the paper: midpoints instead of right end points of the m steps (a smaller error at equal cost);
    channels are summed to one map, which keeps the sum over the map equal to F(x) - F(b).

    Parameters: `steps` m; `baseline` the empty image b.
    Returns maps (N, H, W) in logits, signed. Diagnostics, (N,): "score_difference" F(x) - F(b) in logits and
    "completeness_error" |sum IG - (F(x) - F(b))| / |F(x) - F(b)|; above 0.05 more steps are needed.
    """

    registration: ClassVar[Registration] = Registration(
        name="integrated_gradients",
        title="Integrated gradients",
        family="gradient",
        question="Which pixels make up the score, for and against, when the image appears out of an empty one?",
        paper="Sundararajan et al. 2017, arXiv:1703.01365",
        explains="logit",
        channels="sum",
        signed=True,
        cost="steps gradients, 1 forward (and 1 for the baseline)",
        option_that_changes=(("steps", 2), ("baseline", "white")),
    )

    steps: Annotated[int, Field(ge=1)] = 25
    baseline: Fill = "black"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        baseline = np.broadcast_to(colour(images, self.baseline), images.values.shape[1:])
        away = images.values - baseline
        at = ((np.arange(self.steps) + 0.5) / self.steps).astype(np.float32)
        totals = np.zeros(images.values.shape)
        for image, step in rows(len(images), self.steps, model.batch_size):
            path = baseline + at[step, None, None, None] * away[image]
            add_per_image(totals, image, model.gradient(path, targets.classes[image]))
        values = (away * totals / self.steps).sum(axis=-1)

        # The baseline is one image for all: a single pass gives its score for every class.
        scores = model.logits(np.concatenate([baseline[None], images.values])).astype(np.float64)
        difference = scores[np.arange(1, len(scores)), targets.classes] - scores[0, targets.classes]
        error = abs(values.sum(axis=(1, 2)) - difference) / np.maximum(abs(difference), np.finfo(np.float32).eps)
        return Maps(
            values.astype(np.float32),
            {"completeness_error": error.astype(np.float32), "score_difference": difference.astype(np.float32)},
        )

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images + 1, gradient=n_images * self.steps)


METHODS = (IntegratedGradients,)
