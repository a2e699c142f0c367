"""Activation maximization by tf-keras-vis: one unit per call, on a copy of the model with a linear head."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.methods.activation_maximization import (
    ActivationMaximization,
    AscentPart,
    compared_with_real_images,
    real_images,
)
from fruitaudit.errors import CannotExplain
from fruitaudit.providers.keras_network import NEEDS, quiet, with_linear_head
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.evidence import Synthetic
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class ActivationMaximizationByTfKerasVis:
    """`tf_keras_vis.activation_maximization.ActivationMaximization`, with the range of the input.

    Differs from the native one: pixels, RMSprop, rotation beside jitter, penalties that do not know how strong the unit
    is; a step is as large a share of the range as the library's own is of 0..255.
    """

    registration: ClassVar[Registration] = replace(
        ActivationMaximization.registration,
        provider="tf-keras-vis",
        package="tf-keras-vis",
        needs=NEEDS,
        contract_options=(("layers", ["early"]), ("filters", 1), ("choose", "first"), ("classes", 1), ("steps", 3),
                             ("reference_images", 3)),
        caveat="in 40 steps its pictures excite 5 units of a fruit classifier 1.03 times as much as the strongest of "
        "64 smooth random pictures (median), where the native ones reach 2.19 times as much",
    )  # fmt: skip
    fixed: ClassVar[dict[str, Any]] = {"parameterization": "pixel", "jitter": 4}

    layers: list[str] | None = None
    filters: Annotated[int, Field(ge=0)] = 16
    choose: Literal["strongest", "first"] = "strongest"
    classes: Annotated[int, Field(ge=0)] = 16
    steps: Annotated[int, Field(ge=1)] = 200
    reference_images: Annotated[int, Field(ge=1)] = 256

    @property
    def background_size(self) -> int:
        return self.reference_images

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Synthetic:
        real = real_images(images)
        network = with_linear_head(model, real.values[:1])
        parts = self._native().parts(model, real.values)
        units = tuple(unit for part in parts for unit in part.units())
        pictures = [picture for part in parts for picture in self._optimise(network, part, images, streams)]
        if not pictures:
            raise CannotExplain("activation maximization was asked for no filter and no class; set filters or classes")
        return compared_with_real_images(model, parts, units, np.stack(pictures), images, real)

    def _optimise(self, network: Any, part: AscentPart, images: Images, streams: Streams) -> Iterator[FloatArray]:
        from tf_keras_vis.activation_maximization import ActivationMaximization as TfKerasVisMaximization
        from tf_keras_vis.activation_maximization.input_modifiers import Jitter, Rotate2D
        from tf_keras_vis.utils.scores import CategoricalScore

        from fruitaudit.models.keras.backend import keras

        model, low, high = network, float(images.low.min()), float(images.high.max())
        if part.convolution is not None:
            path = part.convolution.after
            if path not in {inner.name for inner in network.layers}:
                raise CannotExplain(f"tf-keras-vis does not reach layer {path}, which lies inside a nested model")
            model = keras.Model(network.inputs, network.get_layer(path).output)
        for unit in part.units():
            rng = streams.rng("activation_maximization", "tf-keras-vis", unit.name)
            rotation = Rotate2D(degree=1)
            rotation.random_generator = rng
            start = rng.uniform(low, high, (1, *network.input_shape[1:])).astype(np.float32)
            with quiet(), _numpy_seeded(int(rng.integers(2**32))):
                inner = TfKerasVisMaximization(model)(
                    CategoricalScore([unit.index]),
                    seed_input=start,
                    input_range=(low, high),
                    input_modifiers=[Jitter(jitter=self.fixed["jitter"]), rotation],
                    steps=self.steps,
                    optimizer=keras.optimizers.RMSprop((high - low) / 255, 0.999),
                )
            yield np.clip(np.asarray(inner, np.float32)[0], images.low, images.high)

    def _native(self) -> ActivationMaximization:
        return ActivationMaximization(
            layers=self.layers,
            filters=self.filters,
            choose=self.choose,
            classes=self.classes,
            steps=self.steps,
            reference_images=self.reference_images,
        )

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return self._native().model_passes(n_images, input_shape)

    def passes_on(self, model: Model, n_images: int) -> Passes:
        """As the native one."""
        return self._native().passes_on(model, n_images)


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """NumPy's global stream, which the library draws from and does not seed, begun at `seed` and put back."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


METHODS = (ActivationMaximizationByTfKerasVis,)
