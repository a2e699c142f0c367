"""Copies of a model with other weights, for tests that ask what an explanation owes to what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fruitaudit.models.base import WithScores


class Reinitialisable(Protocol):
    """A copy of a network whose layers can lose what they learned."""

    @property
    def layers(self) -> Sequence[str]:
        """Its layers with weights of their own, from the output to the input."""
        ...

    def reinitialised(self, layers: Sequence[str]) -> WithScores:
        """The network with these layers reinitialised and all others as trained. The last answer is then void."""
        ...


@dataclass(frozen=True)
class Training:
    """How a reinitialised copy is trained: with Adam, until it reaches an accuracy or the epochs are over."""

    epochs: int
    batch_size: int
    learning_rate: float
    target_accuracy: float
    """Accuracy on its training images at which training stops."""


@dataclass(frozen=True)
class TrainedCopy:
    """The copy, and its accuracy on its training images."""

    model: WithScores
    accuracy: float
