"""What the experiments will cost, part by part, before they start: model passes, and work on images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fruitaudit.diagnosis.attacks import adversarial, shortcuts, turning
from fruitaudit.diagnosis.budget import BUDGETS, SampleSizes
from fruitaudit.diagnosis.data_checks import preparation
from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.gap.examples import IMAGES as EXAMPLES
from fruitaudit.records.data import Role
from fruitaudit.records.passes import Passes

FACTORS = 6
"""Factors in which a field split is taken to differ from the lab. Few differ in more; then this is no upper bound."""
_SUBSETS = 2**FACTORS
_PIXELS = 10_000
# Seconds per image (the last three: per picture made), rounded up from images of 100 x 100 pixels.
_CHECK_SECONDS, _MASK_SECONDS, _PREPARATION_SECONDS, _PASTE_SECONDS, _CHANGE_SECONDS = (
    0.003,
    0.010,
    0.002,
    0.0001,
    0.0004,
)


@dataclass(frozen=True)
class CostPart:
    """One part of the experiments. `seconds` is its work on images, without model passes, on two cores of 2024."""

    title: str
    passes: Passes
    seconds: float


def cost(
    level: str, splits: Sequence[tuple[Role, int]], shape: tuple[int, ...], *, negatives: int = 0
) -> tuple[CostPart, ...]:
    """All parts at a level of `diagnosis` ("quick" or "standard"); none where it is "off".

    `splits` are (role, number of images), `shape` (height, width, ...) is the model's input, `negatives` the images
    that `cem` will explain. An upper bound of the passes for up to six factors: regions that objects cover, factors
    that do not differ and answers that have fallen already cost less.
    """
    if level not in BUDGETS:
        return ()
    return tuple(_parts(BUDGETS[level], splits, shape[0] * shape[1] / _PIXELS, negatives))


def _parts(budget: SampleSizes, splits: Sequence[tuple[Role, int]], area: float, negatives: int) -> Iterator[CostPart]:
    split_sizes = [(role, min(n, budget.decoded_images)) for role, n in splits]
    lab_sizes = [n for role, n in split_sizes if role != "field"]
    total = sum(n for _, n in split_sizes)
    yield CostPart("look through the data", Passes(2 * total + sum(lab_sizes)), total * area * _CHECK_SECONDS)
    lab = next((n for lab_role in ("test", "reference") for role, n in splits if role == lab_role), 0)
    lab = min(lab, budget.images)
    fields = [min(n, budget.images) for role, n in splits if role == "field"]
    if not lab:
        return
    n_images = lab + sum(fields)
    yield CostPart("find the objects", Passes(), n_images * area * _MASK_SECONDS)
    yield CostPart(
        "other ways to prepare files", Passes(n_images * preparation.WAYS), n_images * area * _PREPARATION_SECONDS
    )
    pasted_images = 2 * (shortcuts.GRID**2 + 2) * max(lab, min(2 * lab, 2 * shortcuts.ENOUGH))
    yield CostPart("look beside the object", Passes(pasted_images), pasted_images * area * _PASTE_SECONDS)
    yield CostPart("attacks", adversarial.passes(min(lab, budget.attacked_images)) + turning.passes(negatives), 0.0)
    for field in fields:
        yield _pair_cost(lab, field, area)


def _pair_cost(lab: int, field: int, area: float) -> CostPart:
    """One change at a time, there and back; all subsets; a control for each factor and two for all together."""
    changed_images = lab * (_SUBSETS + len(registry.probes()) + FACTORS + 2) + field * FACTORS
    example_images = EXAMPLES * (FACTORS + 2)
    return CostPart(
        "changes toward the field and back",
        Passes(changed_images + example_images),
        changed_images * area * _CHANGE_SECONDS,
    )
