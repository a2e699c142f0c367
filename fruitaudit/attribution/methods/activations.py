from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.convolutions import (
    Convolution,
    activated,
    chosen,
    convolutions,
    is_recomputed,
    tensors,
)
from fruitaudit.models.keras.graphs import batches_of, compiled, pictures
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.evidence import FeatureLayer, FeatureMaps
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

TOLERANCE = 1e-3
"""What a recomputed value may differ by, as a share of the layer's largest activation; float16 has 3 digits."""
_NEVER_NEGATIVE = {"Relu", "Relu6", "Sigmoid", "Softplus"}


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
        requires="a convolution",
        contract_options=(("layers", ["early"]), ("channels", 2), ("choose", "first")),
    )

    layers: list[str] | None = None
    channels: Annotated[int, Field(ge=1)] = 16
    choose: Literal["strongest", "first"] = "strongest"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> FeatureMaps:
        shown = chosen(model, self.layers)
        channels = [np.arange(min(self.channels, int(c.layer.shape[-1] or 0)), dtype=np.int64) for c in shown]
        if self.choose == "strongest":
            channels = [_strongest(m, self.channels) for m in _mean_magnitudes(model, shown, images)]
        found = _values(model, shown, channels, images)
        layers, notes = list[FeatureLayer](), list[str]()
        for convolution, which, (before, after, difference) in zip(shown, channels, found, strict=True):
            n_channels, function = int(convolution.layer.shape[-1] or 0), convolution.activation
            normal = ", after BatchNormalization" if convolution.normalized else ""
            if function and difference <= TOLERANCE:
                layers.append(FeatureLayer(convolution.path, f"before {function}{normal}", which, n_channels, before))
            elif function:
                notes.append(f"{convolution.path}: {function} of what was recomputed differs from the output by "
                             f"{difference:.1g} of its largest value, so that only the output is shown")  # fmt: skip
            stage = f"after {function}" if function else f"output{normal}"
            layers.append(FeatureLayer(convolution.path, stage, which, n_channels, after))
        total = len(convolutions(model))
        if self.layers is None and len(shown) < total:
            notes.append(f"{len(shown)} of {total} convolutions, evenly spread")
        return FeatureMaps(tuple(layers), notes=tuple(notes))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * (2 if self.choose == "strongest" else 1))


def _strongest(magnitudes: FloatArray, k: int) -> IntArray:
    return np.argsort(-magnitudes, kind="stable")[:k].astype(np.int64)


def _mean_magnitudes(model: Model, shown: list[Convolution], images: Images) -> list[FloatArray]:
    """(K,) mean |A| of every channel over places and images, for each layer."""
    from fruitaudit.models.keras.backend import tf

    def run(alive: Model, values: Any) -> Any:
        called = alive.in_graph(values)
        answers = [tensors(called, c)[1] for c in shown]
        # To drop a sign takes a quarter of the time, and most functions leave none.
        return [tf.reduce_mean(a if a.op.type in _NEVER_NEGATIVE else tf.abs(a), axis=(1, 2)) for a in answers]

    means = batches_of(model, compiled(model, ("magnitudes", *(c.path for c in shown)), run), images.values)
    model.passes.forward += len(images)
    return [m.mean(axis=0) for m in means]


def _values(
    model: Model, shown: list[Convolution], channels: list[IntArray], images: Images
) -> list[tuple[FloatArray, FloatArray, float]]:
    """(before, after, difference) for each layer; the difference of f(before) and after is a share of the largest."""
    from fruitaudit.models.keras.backend import tf

    def run(alive: Model, values: Any, *channels: Any) -> Any:
        called, made = alive.in_graph(values), []
        for convolution, which in zip(shown, channels, strict=True):
            before, after = tensors(called, convolution)
            # A product with ones and zeros takes a fifth of the time of tf.gather, and is as exact.
            chosen_ones, difference = tf.one_hot(which, after.shape[-1], axis=0), tf.zeros(tf.shape(values)[:1])
            of_before, of_after = (
                tf.tensordot(t, chosen_ones, 1) for t in (after if before is None else before, after)
            )
            if is_recomputed(convolution, called.layer(convolution.after)):
                again = tf.cast(activated(convolution, before), tf.float32)
                largest = tf.maximum(tf.reduce_max(tf.abs(after)), 1e-30)
                difference += tf.reduce_max(tf.abs(again - after)) / largest
            elif convolution.fused:  # number by number, so that what is chosen need not be chosen twice
                own = tf.cast(of_before, called.layer(convolution.after).dtype)
                of_after = tf.cast(activated(convolution, own), tf.float32)
            made += [of_before, of_after, difference]
        return made

    signature = [pictures(model), *(tf.TensorSpec((None,), tf.int64) for _ in channels)]
    graph = compiled(model, ("activations", *(c.path for c in shown)), run, *signature)
    found = batches_of(model, lambda values: graph(values, *channels), images.values)
    model.passes.forward += len(images)
    return [(found[i], found[i + 1], float(found[i + 2].max())) for i in range(0, len(found), 3)]


METHODS = (Activations,)
