"""What went through a model: images counted, and the gradients of one layer."""

from __future__ import annotations

from dataclasses import dataclass

from fruitaudit.records.data import FloatArray


@dataclass(frozen=True)
class Passes:
    """One image through the model counts once: `forward` only, or `gradient` forward and back."""

    forward: int = 0
    gradient: int = 0

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forward + other.forward, self.gradient + other.gradient)

    def __sub__(self, other: Passes) -> Passes:
        return Passes(self.forward - other.forward, self.gradient - other.gradient)


@dataclass(frozen=True)
class LayerGradients:
    """`activations` and `gradients` (N, h, w, K) of one layer, and the explained `scores` (N,)."""

    activations: FloatArray
    gradients: FloatArray
    scores: FloatArray
