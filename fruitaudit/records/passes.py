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


@dataclass(frozen=True)
class Forward:
    """One pass: (N, K) scores, and of each layer asked for an array whose rows are images."""

    probabilities: FloatArray
    logits: FloatArray
    layers: tuple[FloatArray, ...]

    @classmethod
    def of(cls, probabilities: FloatArray, logits: FloatArray, *layers: FloatArray) -> Forward:
        return cls(probabilities, logits, layers)


@dataclass(frozen=True)
class AroundActivation:
    """What enters the activation function of a convolution and what comes out, (N, h, w, K) each.

    `difference` is by how much the function of `before` differs from `after`, as a share of the largest value, where
    `before` had to be computed once more; else 0. Without an activation function both are the same.
    """

    before: FloatArray
    after: FloatArray
    difference: float
