from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.ascent import Ascent, Fourier, ImageParameters, Pixels, Units, colours_of
from fruitaudit.attribution.base import OPTIONS, Diagnostic, Model, Passes, Registration, Shape
from fruitaudit.attribution.convolutions import chosen
from fruitaudit.errors import CannotExplain
from fruitaudit.models.layers import Convolution
from fruitaudit.records.data import Background, FloatArray, Images, IntArray
from fruitaudit.records.evidence import Synthetic, Unit
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

LAYERS = 4
"""So many convolutions where nobody named any."""


@dataclasses.dataclass(frozen=True)
class AscentPart:
    """Units of one layer, or of the output where `convolution` is None."""

    convolution: Convolution | None
    indices: IntArray
    real_responses: FloatArray
    """(M, U) responses to real images."""

    def units(self) -> list[Unit]:
        path = self.convolution.path if self.convolution else ""
        return [Unit(path, int(k), f"{path or 'class'} {k}") for k in self.indices]

    def scaled_units(self) -> Units:
        """The units with their largest real response as scale, 1 where every one is 0."""
        peaks = abs(self.real_responses).max(axis=0)
        return Units(self.convolution, self.indices, np.where(peaks > 0, peaks, 1).astype(np.float32))


@dataclass(frozen=True, config=OPTIONS)
class ActivationMaximization:
    """Inputs made up to excite one filter or one class as much as possible.

    x* = argmax_x a_u(x) / s_u - R(x),  low <= x <= high,  a_u the mean activation of filter u, or the logit of class u.
    Paper: Erhan, Bengio, Courville, Vincent 2009, Visualizing Higher-Layer Features of a Deep Network, sec. 3.1;
    R as in Yosinski et al. 2015, arXiv:1506.06579; `fourier` and jitter as in Olah, Mordvintsev, Schubert 2017,
    doi:10.23915/distill.00007.
    Differs from the paper: a_u is divided by its largest value on a real image, s_u, so that R weighs the same on
    every unit; a filter that is silent everywhere (a_u <= 0) climbs by its value before the activation function.

    Parameters: `layers` paths of convolutions, left out: all, 4 at most, evenly spread; `filters` of each layer, by
    `choose` those that real images excite the "strongest" on average, or the "first"; `classes` so many, the first;
    `parameterization`, `steps`, `step_size`, `jitter` in pixels, `total_variation`, `l2`: see `ascent`;
    `reference_images` real images to compare with.
    Returns (U, H, W, C) inside the range of real inputs; `reached` in units of the activation or the logit; as a
    diagnostic the `probability` of class u, NaN for filters.
    Raises CannotExplain where no gradient reaches the input.
    """

    registration: ClassVar[Registration] = Registration(
        name="activation_maximization",
        title="Activation maximization",
        family="inside",
        question="What would an image look like that excites this part of the model the most?",
        paper="Erhan et al. 2009; Yosinski et al. 2015, arXiv:1506.06579; Olah et al. 2017",
        explains="activation",
        channels="none",
        signed=False,
        needs=("scores", "unit_gradients", "activations", "weights"),
        quick_options=(("steps", 2), ("filters", 2), ("reference_images", 12)),
        cost="once for the model: (layers x filters + classes) x steps gradients, reference images forward",
        diagnostics=(Diagnostic("probability", "probability"),),
        contract_options=(("layers", ["early"]), ("filters", 1), ("choose", "first"), ("classes", 1),
                             ("parameterization", "pixel"), ("steps", 3), ("step_size", 0.01), ("jitter", 0),
                             ("total_variation", 1.0), ("l2", 1.0), ("reference_images", 3)),
        subject="model",
    )  # fmt: skip

    layers: list[str] | None = None
    filters: Annotated[int, Field(ge=0)] = 16
    choose: Literal["strongest", "first"] = "strongest"
    classes: Annotated[int, Field(ge=0)] = 16
    parameterization: Literal["fourier", "pixel"] = "fourier"
    steps: Annotated[int, Field(ge=1)] = 128
    step_size: Annotated[float, Field(gt=0)] = 0.2
    jitter: Annotated[int, Field(ge=0)] = 4
    total_variation: Annotated[float, Field(ge=0)] = 0.1
    l2: Annotated[float, Field(ge=0)] = 0.0
    reference_images: Annotated[int, Field(ge=1)] = 256

    @property
    def background_size(self) -> int:
        return self.reference_images

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Synthetic:
        real = real_images(images)
        ascent = Ascent(self.steps, self.step_size, self.jitter, self.total_variation, self.l2)
        canvas: ImageParameters = Pixels(model.input_shape)
        if self.parameterization == "fourier":
            canvas = Fourier(model.input_shape, colours_of(real, images))
        shifts = ascent.shifts(streams.rng("activation_maximization", "jitter"))
        parts = self.parts(model, real.values)
        units, pictures = list[Unit](), list[FloatArray]()
        for part in parts:
            for rows in (slice(i, i + model.batch_size) for i in range(0, len(part.indices), model.batch_size)):
                batch = AscentPart(part.convolution, part.indices[rows], part.real_responses[:, rows])
                generators = [streams.rng("activation_maximization", unit.name) for unit in batch.units()]
                start = np.stack([canvas.start(rng) for rng in generators])
                pictures.append(ascent.optimise(model, images, canvas, batch.scaled_units(), start, shifts))
                units += batch.units()
        if not units:
            raise CannotExplain("activation maximization was asked for no filter and no class; set filters or classes")
        return compared_with_real_images(model, parts, tuple(units), np.concatenate(pictures), images, real)

    def parts(self, model: Model, real: FloatArray) -> list[AscentPart]:
        """The units asked for, layer by layer, the classes last; `real` (M, H, W, C) are the images to choose by."""
        convolutions = self._convolutions(model)
        responses = model.channel_means(real, convolutions)
        parts = [AscentPart(None, np.arange(min(self.classes, model.n_classes), dtype=np.int64), responses.logits)]
        for convolution, response in zip(convolutions, responses.layers, strict=True):
            order = np.argsort(-response.mean(axis=0), kind="stable")
            if self.choose == "first":
                order = np.arange(len(order))
            parts.insert(-1, AscentPart(convolution, order[: self.filters].astype(np.int64), response))
        return [replace(part, real_responses=part.real_responses[:, part.indices]) for part in parts]

    def _convolutions(self, model: Model) -> list[Convolution]:
        try:
            return chosen(model, self.layers, LAYERS)
        except CannotExplain:
            if self.layers is not None:
                raise
            return []

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=self.reference_images)

    def passes_on(self, model: Model, n_images: int) -> Passes:
        """The filters there are, and the classes; the strongest real images are fed once, and what was made up."""
        n_units = min(self.classes, model.n_classes)
        n_units += sum(min(self.filters, c.layer.n_channels) for c in self._convolutions(model))
        return Passes(forward=self.reference_images + n_units, gradient=n_units * self.steps)


def compared_with_real_images(
    model: Model,
    parts: list[AscentPart],
    units: tuple[Unit, ...],
    pictures: FloatArray,
    images: Images,
    real: Background,
) -> Synthetic:
    """What was made up for the units of `parts`, with the responses to it and to the strongest real images."""
    convolutions = [part.convolution for part in parts if part.convolution is not None]
    responses = model.channel_means(pictures, convolutions)
    all_responses = (*responses.layers, responses.logits)
    unit_responses = np.concatenate([r[:, part.indices] for r, part in zip(all_responses, parts, strict=True)], axis=1)
    reached, real_responses = (
        np.diagonal(unit_responses).copy(),
        np.concatenate([part.real_responses for part in parts], axis=1),
    )
    best, strongest = real_responses.argmax(axis=0), real_responses.max(axis=0)
    notes = [f"the strongest real image is that of {len(real.values)} of the {real.population} reference images"]
    weaker = [unit.name for unit, less in zip(units, reached < strongest, strict=True) if less]
    if weaker:
        names = ", ".join(weaker[:8]) + (" and others" if len(weaker) > 8 else "")
        notes.append(f"{len(weaker)} of {len(units)} made-up images excite their unit less than a photograph does, "
                     f"so that the search fell short of what they answer to: {names}")  # fmt: skip
    class_probabilities = [
        np.nan if unit.layer else float(responses.probabilities[i, unit.index]) for i, unit in enumerate(units)
    ]
    return Synthetic(
        units=units,
        values=pictures,
        low=images.low,
        high=images.high,
        reached=reached,
        strongest=strongest,
        strongest_ids=tuple(real.sample_ids[i] for i in best),
        strongest_values=real.values[best],
        diagnostics={"probability": np.array(class_probabilities, np.float32)},
        notes=tuple(notes),
    )


def real_images(images: Images) -> Background:
    """The reference images that made-up ones are read beside. Raises CannotExplain where there are none."""
    if images.background is None or not len(images.background.values):
        raise CannotExplain("activation maximization is read beside the strongest real image, and there is no "
                            "reference split to take one from; name a split with the role reference")  # fmt: skip
    return images.background


METHODS = (ActivationMaximization,)
