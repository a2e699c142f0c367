"""Random streams that neither order nor batch size changes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    """Random numbers that depend on (seed, purpose, sample) alone, never on order, batch size or other samples."""

    seed: int

    def rng(self, *purpose: str) -> np.random.Generator:
        """A generator of its own for this purpose, e.g. `rng("smoothgrad", sample_id)`."""
        return np.random.Generator(np.random.SFC64(self.integer(*purpose)))

    def integer(self, *purpose: str, bits: int = 64) -> int:
        """A seed for a library, 0 <= seed < 2**bits."""
        text = "\x1f".join((str(self.seed), *purpose))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") % 2**bits
