"""Memory before it is used: how many images fit at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fruitaudit.errors import ConfigError, ModelError
from fruitaudit.records.results import MemoryPlan
from fruitaudit.runtime.memory import address_space

MB = 10**6
UNIT = 32
"""Images in a pass: always the same number, because kernels round in other ways for other numbers."""
DEFAULT = 5000 * MB
"""Default memory limit of an audit; on a small machine half of what it has."""
_PROGRAM = 1000 * MB
"""Python, TensorFlow and their libraries."""
_MAPPED = 2000 * MB
"""What the libraries map and never touch: it counts against a limit of the address space alone."""
_WEIGHTS = 3
"""Copies of the weights: as they are loaded, in the network, and in a reinitialised network."""
_FOR_PASSES = 0.75
"""Share of what is left; the rest is for images, masks and maps."""
_OF_MACHINE = 0.5
"""Share of the machine that one image, or weights, may take where no limit is set: others use it too."""
MOST_NUMBERS = 2**31 - 1
"""Numbers that a layer may make of an image: TensorFlow counts some of them in 32 bits, and crashes beyond."""
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class MemoryNeeds:
    """Memory of one model, in bytes: per image in a pass, and of its weights."""

    image: int
    weights: int

    @property
    def program(self) -> int:
        """Whatever the number of images."""
        return _PROGRAM + _WEIGHTS * self.weights


def plan_memory(needs: MemoryNeeds, limit: int | None) -> MemoryPlan:
    """How many images a pass has: `UNIT`, or the largest power of 2 that fits into the limit.

    With fewer than `UNIT`, figures may differ in their last digits from those of a larger limit.
    Depends on nothing but the model, the setting and the machine's size, so that a run can be repeated byte by byte.
    Raises ConfigError where not one image fits into the limit that was set.
    """
    budget = limit or min(DEFAULT, machine_memory() // 2)
    fit = _images_that_fit(needs, budget)
    if fit < 1 and limit is not None:
        minimum = -(-int(needs.program + needs.image / _FOR_PASSES) // (100 * MB)) / 10
        raise ConfigError(f"memory: {budget / MB:,.0f} MB is too little for this model, which takes "
                          f"{needs.program / MB:,.0f} MB with the program and {needs.image / MB:,.0f} MB more for an "
                          f"image; set at least {minimum:.1f}GB")  # fmt: skip
    images = min(UNIT, 1 << (max(fit, 1).bit_length() - 1))
    expected = needs.program + images * needs.image
    return MemoryPlan(budget / MB, needs.image / MB, images, expected / MB)


def check_fit(needs: MemoryNeeds, limit: int | None, what: str = "") -> None:
    """Refuse a model of which one image is too much, before anything is computed.

    `what`: the start of the sentence, about its largest layer. Raises ConfigError where it takes more than the limit
    that was set, ModelError where it takes more than the machine has.
    """
    machine = machine_memory()
    least = _WEIGHTS * needs.weights + needs.image
    if least > machine * _OF_MACHINE:
        raise ModelError(f"{what}the model takes {size_text(least)} with one image, and this machine has "
                         f"{size_text(machine)} of memory; use a smaller model, or a larger machine")  # fmt: skip
    if limit is not None:
        try:
            plan_memory(needs, limit)
        except ConfigError as error:
            raise ConfigError(f"{what}{error}") from None


def _images_that_fit(needs: MemoryNeeds, budget: int) -> int:
    return int((budget - needs.program) * _FOR_PASSES) // max(needs.image, 1)


def size_text(size: int) -> str:
    """Bytes as a sentence has them: 553 MB, 120.1 GB."""
    return f"{size / MB:,.0f} MB" if size < 1000 * MB else f"{size / (1000 * MB):,.1f} GB"


def machine_memory() -> int:
    """Bytes of memory that this machine, or the container on it, has in all."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUPS:
        text = Path(path).read_text().strip() if Path(path).is_file() else "max"
        if text.isdigit():
            sizes.append(int(text))
    if (limit := address_space()) is not None:
        sizes.append(max(limit - _MAPPED, 0))
    return min(sizes)
