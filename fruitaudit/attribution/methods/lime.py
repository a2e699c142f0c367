from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Diagnostic, Model, Passes, Registration, Shape
from fruitaudit.attribution.baselines import Hide
from fruitaudit.attribution.scores import ExplainedScore, scores_of
from fruitaudit.attribution.superpixels import (
    Labels,
    Segmentation,
    hidden_superpixels,
    segments_of,
    shown_in_part,
    superpixels,
)
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Segments, Targets
from fruitaudit.runtime.streams import Streams

FIT = 0.5
"""Smallest share of variance (R^2) that the linear model must explain for its map to be read."""


@dataclass(frozen=True, config=OPTIONS)
class Lime:
    """A linear model of the class's score over superpixels that are shown or hidden, fitted near the image.

    xi = argmin_g sum_z exp(-D(x, z)^2 / s^2)^(1/2) (p_k(z) - g(z'))^2 + |w|^2,  g(z') = w_0 + w . z',  D the cosine
    distance of z' from the whole image, s = 0.25; the `features` superpixels of largest |w| are fitted once more.
    Paper: Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938, eq. 1-2 and alg. 1, by the `lime` package.
    Differs from the paper: ridge instead of lasso for the choice of superpixels, as the package does. Superpixels are
    found on the image in 0..1 colour (grey repeated to three channels), whatever the model's input range; hiding
    happens in model input. The package's loop over single images is replaced by one over batches, draw for draw the
    same. Smaller images get a smaller kernel, and so about ten superpixels, as a 100 x 100 image does.

    Parameters: `samples` perturbed images, the whole one among them; `features` superpixels with a coefficient;
    `segmentation` quickshift (distance 200, ratio 0.2, as the package) or SLIC with 50 superpixels; `kernel` of
    quickshift in pixels, >= 1, left out: 4, or a 25th of the shorter side where that is less; `hide` what a hidden
    superpixel shows: its own mean colour, another colour, or the blurred image; `explains` the probability, which
    saturates on confident images, or the logit.
    Returns segments with coefficients in what it explains, signed. Diagnostics, (N,): "r2" weighted fit of the linear
    model (read the map only where it is high), "intercept" in the same unit, "superpixels".
    """

    registration: ClassVar[Registration] = Registration(
        name="lime",
        title="LIME",
        family="perturbation",
        question="Which parts of the image raise or lower the class's score when they are shown?",
        paper="Ribeiro et al. 2016, arXiv:1602.04938",
        explains="probability",
        channels="none",
        signed=True,
        needs=("scores",),
        quick_options=(("samples", 100),),
        cost="samples forward",
        diagnostics=(
            Diagnostic(
                "r2",
                "fit R\u00b2",
                FIT,
                higher_is_better=True,
                slug="poor-fit",
                fault=f"come from a linear model that explains less than {100 * FIT:.0f} % of what the model does "
                "around the image",
                measured="R^2 {value:.2f}",
                remedy="Do not read these maps; superpixels do not act one by one there, or hardly act at all.",
            ),
            Diagnostic("intercept", "intercept"),
            Diagnostic("superpixels", "superpixels"),
        ),
        contrast=True,
        package="lime",
        sensitivity_options=(
            ("samples", 60),
            ("features", 3),
            ("segmentation", "slic"),
            ("kernel", 2.0),
            ("hide", "black"),
            ("explains", "logit"),
        ),
    )

    samples: Annotated[int, Field(ge=10)] = 1000
    features: Annotated[int, Field(ge=1)] = 10
    segmentation: Segmentation = "quickshift"
    kernel: Annotated[float, Field(ge=1)] | None = None
    hide: Hide = "mean"
    explains: ExplainedScore = "probability"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Segments:
        segments, rows, fits = [], [], []
        for i, labels in enumerate(superpixels(images, streams, self.segmentation, self.kernel)):
            seed = streams.integer("lime", "sampling", images.sample_ids[i], bits=32)
            one = slice(i, i + 1)
            row, fit = self._fit(model, images.select(one), targets.select(one), labels, seed)
            segments.append(labels)
            rows.append(row)
            fits.append(fit)
        return segments_of(segments, rows, ("r2", "intercept", "superpixels"), fits)

    def _fit(
        self, model: Model, image: Images, target: Targets, labels: Labels, seed: int
    ) -> tuple[FloatArray, tuple[float, ...]]:
        """Coefficients (S,) of one image, and its diagnostics."""

        def score(values: FloatArray) -> FloatArray:
            """(n, 1): to the package a model with a single class."""
            return scores_of(model, values, target.select(np.zeros(len(values), np.int64)), self.explains)[:, None]

        explanation = _explainer(seed).explain_instance(
            image.values[0],
            score,
            labels=(0,),
            top_labels=None,
            hide_color=hidden_superpixels(image, labels, self.hide),
            num_features=self.features,
            num_samples=self.samples,
            batch_size=model.batch_size,
            segmentation_fn=lambda _: labels,
            random_seed=seed,
        )
        coefficients = np.zeros(labels.max() + 1, np.float32)
        for superpixel, weight in explanation.local_exp[0]:
            coefficients[superpixel] = weight
        return coefficients, (explanation.score, explanation.intercept[0], len(coefficients))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * self.samples)


def _explainer(seed: int) -> Any:
    from lime.lime_image import LimeImageExplainer

    class InBatches(LimeImageExplainer):  # type: ignore[misc]
        """The same draws as the package's own `data_labels`, but images are made a batch at a time."""

        def data_labels(
            self,
            image: FloatArray,
            fudged_image: FloatArray,
            segments: Labels,
            classifier_fn: Any,
            num_samples: int,
            batch_size: int = 10,
        ) -> tuple[npt.NDArray[np.int64], FloatArray]:
            shape = (num_samples, int(segments.max()) + 1)
            data = self.random_state.randint(0, 2, shape[0] * shape[1]).reshape(shape)
            data[0] = 1
            made = shown_in_part(image, fudged_image, segments, data.astype(bool), batch_size)
            return data, np.concatenate([classifier_fn(values) for values in made])

    return InBatches(random_state=seed)


METHODS = (Lime,)
