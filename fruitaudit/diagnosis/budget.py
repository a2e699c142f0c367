"""How many images the experiments take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SampleSizes:
    """Images per split: `images` for experiments, `checked_images` and `attacked_images` for checks and attacks."""

    images: int = 320
    checked_images: int = 2000
    attacked_images: int = 64

    @property
    def decoded_images(self) -> int:
        """Images of a split that are read."""
        return max(self.images, self.checked_images)


BUDGETS = {"quick": SampleSizes(images=100, checked_images=500, attacked_images=30), "standard": SampleSizes()}
"""By the config's `diagnosis`."""
