from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.fills import colour
from fruitaudit.attribution.passes import ahead
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Segments, Targets
from fruitaudit.runtime import Streams

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, config=OPTIONS)
class Lime:
    """A linear model of the class's probability over superpixels that are shown or hidden, fitted near the image.

    xi = argmin_g sum_z exp(-D(x, z)^2 / s^2)^(1/2) (p_k(z) - g(z'))^2 + |w|^2,  g(z') = w_0 + w . z',  D the cosine
    distance of z' from the whole image, s = 0.25; the `features` superpixels of largest |w| are fitted once more.
    Paper: Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938, eq. 1-2 and alg. 1, by the `lime` package.
    Differs from the paper: ridge instead of lasso for the choice of superpixels, as the package does. Superpixels are
    found on the image in 0..1 colour (grey repeated to three channels), whatever the model's input range; hiding
    happens in model input. The package's loop over single images is replaced by one over batches, draw for draw the
    same. Its kernel of 4 pixels joins nearly all of a 28 x 28 image into one superpixel: smaller images get a smaller
    kernel, and so about ten superpixels, as a 100 x 100 image does.

    Parameters: `samples` perturbed images, the whole one among them; `features` superpixels with a coefficient;
    `segmentation` quickshift (distance 200, ratio 0.2, as the package) or SLIC with 50 superpixels; `kernel` of
    quickshift in pixels, >= 1, left out: 4, or a 25th of the shorter side where that is less; `hide` what a hidden
    superpixel shows: its own mean colour, middle grey or black.
    Returns segments with coefficients in probability, signed. Diagnostics, (N,): "r2" weighted fit of the linear
    model (read the map only where it is high), "intercept" in probability, "superpixels".
    """

    registration: ClassVar[Registration] = Registration(
        name="lime",
        title="LIME",
        family="perturbation",
        question="Which parts of the image raise or lower the class's probability when they are shown?",
        paper="Ribeiro et al. 2016, arXiv:1602.04938",
        explains="probability",
        channels="none",
        signed=True,
        cost="samples forward",
        package="lime",
        option_that_changes=(
            ("samples", 60),
            ("features", 3),
            ("segmentation", "slic"),
            ("kernel", 2.0),
            ("hide", "black"),
        ),
    )

    samples: Annotated[int, Field(ge=10)] = 1000
    features: Annotated[int, Field(ge=1)] = 10
    segmentation: Literal["quickshift", "slic"] = "quickshift"
    kernel: Annotated[float, Field(ge=1)] | None = None
    hide: Literal["mean", "grey", "black"] = "mean"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Segments:
        unit = images.unit()
        unit = np.repeat(unit, 3, axis=-1) if unit.shape[-1] == 1 else unit
        segments, rows, fits = [], [], []
        seeds = [streams.integer("lime", "segmentation", sample_id, bits=31) for sample_id in images.sample_ids]
        found = ahead(self._superpixels(*one) for one in zip(unit, seeds, strict=True))
        for i, (sample_id, labels) in enumerate(zip(images.sample_ids, found, strict=True)):
            seed = streams.integer("lime", "sampling", sample_id, bits=32)
            row, fit = self._fit(model, images.select(slice(i, i + 1)), int(targets.classes[i]), labels, seed)
            segments.append(labels)
            rows.append(row)
            fits.append(fit)
        coefficients = np.full((len(rows), max(map(len, rows))), np.nan, np.float32)
        for i, row in enumerate(rows):
            coefficients[i, : len(row)] = row
        names = ("r2", "intercept", "superpixels")
        diagnostics = dict(zip(names, np.array(fits, np.float32).T, strict=True))
        single = sum(len(row) == 1 for row in rows)
        notes = (f"{single} of {len(rows)} images are one superpixel: nothing can be told apart",) if single else ()
        return Segments(np.stack(segments), coefficients, diagnostics, notes)

    def _superpixels(self, unit: FloatArray, seed: int) -> Labels:
        """(H, W, 3) in 0..1 -> (H, W) labels 0..S-1 without a gap."""
        from skimage.segmentation import quickshift, slic

        if self.segmentation == "quickshift":
            kernel = self.kernel or max(1.0, min(4.0, min(unit.shape[:2]) / 25))
            found = quickshift(unit, kernel_size=kernel, max_dist=200, ratio=0.2, rng=seed)
        else:
            found = slic(unit, n_segments=50, start_label=0)
        return np.unique(found, return_inverse=True)[1].reshape(found.shape).astype(np.int32)

    def _fit(
        self, model: Model, image: Images, target: int, labels: Labels, seed: int
    ) -> tuple[FloatArray, tuple[float, float, float]]:
        """Coefficients (S,) of one image, and its diagnostics."""
        values = image.values[0]
        hidden = superpixel_means(values, labels) if self.hide == "mean" else colour(image, self.hide)
        found = _explainer(seed).explain_instance(
            values,
            model.probabilities,
            labels=(target,),
            top_labels=None,
            hide_color=hidden,
            num_features=self.features,
            num_samples=self.samples,
            batch_size=model.batch_size,
            segmentation_fn=lambda _: labels,
            random_seed=seed,
        )
        coefficients = np.zeros(labels.max() + 1, np.float32)
        for superpixel, weight in found.local_exp[target]:
            coefficients[superpixel] = weight
        return coefficients, (found.score, found.intercept[target], len(coefficients))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * self.samples)


def superpixel_means(values: FloatArray, labels: Labels) -> FloatArray:
    """(H, W, C) -> (H, W, C): every pixel has the mean colour of its superpixel."""
    size = np.bincount(labels.ravel())
    means = [np.bincount(labels.ravel(), channel.ravel()) / size for channel in np.moveaxis(values, -1, 0)]
    return np.stack(means, axis=-1)[labels].astype(np.float32)


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
            shown = data.astype(bool)
            # Rows of numbers: a mask that is as long as the image is several times as fast as one without channels.
            place = segments.ravel().repeat(image.shape[-1])
            batches = (shown[start : start + batch_size] for start in range(0, num_samples, batch_size))
            made = (np.where(batch.take(place, axis=1), image.ravel(), fudged_image.ravel()) for batch in batches)
            return data, np.concatenate([classifier_fn(values.reshape(-1, *image.shape)) for values in ahead(made)])

    return InBatches(random_state=seed)


METHODS = (Lime,)
