"""Counts the images that went through a model."""

from __future__ import annotations

from fruitaudit.records.passes import Passes


class PassCounter:
    """`forward` and `gradient` count images since the start or the last `reset`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.forward = 0
        self.gradient = 0

    @property
    def total(self) -> int:
        return self.forward + self.gradient

    def snapshot(self) -> Passes:
        """The counts now."""
        return Passes(self.forward, self.gradient)

    def since(self, before: Passes) -> Passes:
        """What was counted after a snapshot."""
        return self.snapshot() - before
