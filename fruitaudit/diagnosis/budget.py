"""How many images the experiments take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SampleSizes:
    """Images of a split: `images` for experiments, `checked` for checks of the data, `attacked` for attacks."""

    images: int = 320
    checked: int = 2000
    attacked: int = 64

    @property
    def looked(self) -> int:
        """Images of a split that are read."""
        return max(self.images, self.checked)


BUDGETS = {"quick": SampleSizes(images=100, checked=500, attacked=30), "standard": SampleSizes()}
"""By the config's `diagnosis`."""
