from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import CONVOLUTION, OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.convolutions import chosen, convolutions
from fruitaudit.records.data import Images
from fruitaudit.records.evidence import FilterBank, LayerFilters
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class Filters:
    """The weights of the convolutions as they are: edges and colours in the first layer, mixtures of those later.

    W^l of shape (kh, kw, in, out),  Z^l = W^l * A^(l-1) + b^l.
    Paper: Zeiler, Fergus 2014, arXiv:1311.2901, fig. 6 (filters of the first layer).
    Differs from the paper: later layers are shown too, the first inputs and outputs of each. Of a separable convolution
    the part that has a place is shown; a depthwise one has `out` filters for each input; a transposed one is turned
    around, so that its last axis counts filters as those of the others do.

    Parameters: `layers` paths of convolutions, left out: all of them, 8 at most, evenly spread; `channels` inputs and
    `filters` outputs of each, at most.
    Returns weights (kh, kw, I, O) for each layer, signed.
    Raises CannotExplain where no convolution is to be seen.
    """

    registration: ClassVar[Registration] = Registration(
        name="filters",
        title="Filters",
        family="inside",
        question="Which patterns do the convolutions look for?",
        paper="Zeiler and Fergus 2014, arXiv:1311.2901",
        explains="activation",
        channels="none",
        signed=True,
        needs=("weights",),
        cost="nothing",
        requires=(CONVOLUTION,),
        contract_options=(("layers", ["early"]), ("channels", 1), ("filters", 2)),
        subject="model",
    )

    layers: list[str] | None = None
    channels: Annotated[int, Field(ge=1)] = 16
    filters: Annotated[int, Field(ge=1)] = 64

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> LayerFilters:
        shown_layers, total = chosen(model, self.layers), len(convolutions(model))
        banks = []
        for convolution in shown_layers:
            kernel, _ = model.weights(convolution.path)
            height, width, inputs, outputs = kernel.shape
            selection = np.ascontiguousarray(kernel[:, :, : self.channels, : self.filters])
            banks.append(FilterBank(convolution.path, selection, (height, width, inputs, outputs)))
        is_selection = self.layers is None and len(shown_layers) < total
        return LayerFilters(
            tuple(banks), notes=(f"{len(shown_layers)} of {total} convolutions, evenly spread",) if is_selection else ()
        )

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes()


METHODS = (Filters,)
