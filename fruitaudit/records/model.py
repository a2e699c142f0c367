"""What is known of a model before any image is shown to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LayerRow:
    """One layer, in the order in which the model runs it. `depth` is its nesting level, 0 at the top.

    `output_shape` leaves out the batch axis; None stands for an axis of unknown length.
    """

    name: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    depth: int = 0
    detail: str = ""
    """What distinguishes the layer, e.g. "2x2, 16 filters, relu"."""
    brief: str = ""
    """The same without filters and units, which are the last axis of the shape: "2x2, relu"."""


@dataclass(frozen=True)
class Variation:
    """How far the answers of one model to the same images lie apart, over several draws of random images.

    `where`: "always", or "called": `model(x)` draws anew each time, while `model.predict(x)` does not.
    """

    where: Literal["always", "called"]
    draws: int
    deviation: float
    """Largest standard deviation of the probability of a class over the draws of an image."""
    changed: int
    """Images whose most probable class was not the same in all draws, of `n`."""
    n: int

    @property
    def text(self) -> str:
        """What was measured."""
        return (f"asked {self.draws} times about {self.n} random images, the answer changed for {self.changed}, and "
                f"the probability of a class had a standard deviation of up to {self.deviation:.2g}")  # fmt: skip


@dataclass(frozen=True)
class ModelSummary:
    """A model as it was found on disk."""

    name: str
    file: str
    sha256: str
    format: str
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    class_names_from: str
    head: str
    """"softmax", "logits" or "sigmoid" (one unit, read as two classes)."""
    logit_source: str
    """How logits were obtained, and how far softmax of them is from the model's own probabilities."""
    parameters: int
    layers: tuple[LayerRow, ...]
    cam_layer: str | None
    """The last layer with a spatial activation; None where there is none."""
    notes: tuple[str, ...] = ()
    variation: Variation | None = None
    """Where the model answers differently when it is asked twice."""
