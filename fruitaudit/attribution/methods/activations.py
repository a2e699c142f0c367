from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import CONVOLUTION, OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.convolutions import chosen, convolutions
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.evidence import FeatureLayer, FeatureMaps
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

TOLERANCE = 1e-3
"""What a recomputed value may differ by, as a share of the layer's largest activation; float16 has 3 digits."""


@dataclass(frozen=True, config=OPTIONS)
class Activations:
    """What each convolution answers to the image, before and after its activation function.

    Z^l = W^l * A^(l-1) + b^l (normalized, where BatchNormalization follows),  A^l = f(Z^l).
    Paper: Yosinski, Clune, Nguyen, Fuchs, Lipson 2015, arXiv:1506.06579, sec. 2.
    Differs from the paper: nothing; a choice of channels is shown, the same for all images.
    Where the layer computes f itself, Z is read off the graph; where f is more than one operation, or the user's own,
    it is computed once more from the layer's input, and shown only where f(Z) is A.

    Parameters: `layers` paths of convolutions, left out: all of them, 8 at most, evenly spread; `channels` how many of
    each layer; `choose` the "strongest" by mean |A| over all images, strongest first, or the "first".
    Returns values (N, h, w, channels) for each layer and stage. Negative values occur before f, and after some.
    Raises CannotExplain where no convolution is to be seen.
    """

    registration: ClassVar[Registration] = Registration(
        name="activations",
        title="Activations",
        family="inside",
        question="What does each layer of the model still see of the image?",
        paper="Yosinski et al. 2015, arXiv:1506.06579",
        explains="activation",
        channels="none",
        signed=True,
        needs=("activations", "weights"),
        cost="2 forward, 1 with the first channels",
        requires=(CONVOLUTION,),
        contract_options=(("layers", ["early"]), ("channels", 2), ("choose", "first")),
    )

    layers: list[str] | None = None
    channels: Annotated[int, Field(ge=1)] = 16
    choose: Literal["strongest", "first"] = "strongest"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> FeatureMaps:
        shown_layers = chosen(model, self.layers)
        channels = [np.arange(min(self.channels, c.layer.n_channels), dtype=np.int64) for c in shown_layers]
        if self.choose == "strongest":
            magnitudes = model.channel_means(images.values, shown_layers, magnitudes=True).layers
            channels = [_strongest(m.mean(axis=0), self.channels) for m in magnitudes]
        activations = model.around_activations(images.values, shown_layers, channels)
        layers, notes = list[FeatureLayer](), list[str]()
        for convolution, channel_indices, around in zip(shown_layers, channels, activations, strict=True):
            n_channels, function = convolution.layer.n_channels, convolution.activation
            suffix = ", after BatchNormalization" if convolution.normalized else ""
            if function and around.difference <= TOLERANCE:
                layers.append(
                    FeatureLayer(
                        convolution.path, f"before {function}{suffix}", channel_indices, n_channels, around.before
                    )
                )
            elif function:
                notes.append(
                    f"{convolution.path}: {function} of what was recomputed differs from the output by "
                    f"{around.difference:.1g} of its largest value, so that only the output is shown"
                )
            stage = f"after {function}" if function else f"output{suffix}"
            layers.append(FeatureLayer(convolution.path, stage, channel_indices, n_channels, around.after))
        total = len(convolutions(model))
        if self.layers is None and len(shown_layers) < total:
            notes.append(f"{len(shown_layers)} of {total} convolutions, evenly spread")
        return FeatureMaps(tuple(layers), notes=tuple(notes))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * (2 if self.choose == "strongest" else 1))


def _strongest(magnitudes: FloatArray, k: int) -> IntArray:
    return np.argsort(-magnitudes, kind="stable")[:k].astype(np.int64)


METHODS = (Activations,)
