"""Numbers and shapes as a model file declares them, read without trust."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MOST = 10**15
"""Larger numbers count as this, so that no product of them is long."""
Dimension = int | None
Shape = tuple[Dimension, ...]
"""With the batch axis; None is an axis that the file leaves open."""


class Senseless(Exception):
    """A size that is none: `str(error)` is the middle of a sentence."""


def product(dimensions: Iterable[Dimension]) -> int:
    """Open axes count as 1."""
    result = 1
    for dimension in dimensions:
        result = min(result * (1 if dimension is None else dimension), MOST**2)
    return result


def shape_of(value: Any) -> Shape | None:
    """A shape in JSON, if it is one: a list, or what Keras writes for a tuple."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value.get("items")
    if not isinstance(value, list) or not all(n is None or (_is_whole(n) and n >= 0) for n in value):
        return None
    return tuple(None if n is None else min(int(n), MOST) for n in value)


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or (math.isfinite(value) and value == int(value))


@dataclass(frozen=True)
class Options:
    """The config of a layer."""

    values: dict[str, Any]

    def number(self, key: str, default: int = 1, least: int = 0) -> int:
        """A whole number. Raises Senseless for anything else; `default` where there is none."""
        value = self.values.get(key)
        return default if value is None else self._whole(key, value, least)

    def numbers(self, key: str, n: int, default: int = 1, least: int = 0) -> tuple[int, ...]:
        """`n` whole numbers, or one that stands for all of them."""
        value = self.values.get(key)
        items = value.get("items") if isinstance(value, dict) else value
        if not isinstance(items, list):
            return (self.number(key, default, least),) * n
        if len(items) != n:
            raise Senseless(f"has the {key} {_brief(items)}, where there should be {n} numbers")
        return tuple(self._whole(key, item, least) for item in items)

    def pairs(self, key: str, n: int) -> tuple[int, ...]:
        """The sums of `n` pairs of whole numbers, such as what is padded before and after an axis."""
        value = self.values.get(key)
        if n == 1 and isinstance(value, list) and not any(isinstance(item, list) for item in value):
            value = [value]
        items = value if isinstance(value, list) else [value] * n
        if len(items) != n:
            raise Senseless(f"has the {key} {_brief(value)}, where there should be {n} pairs")
        return tuple(
            sum(self._whole(key, number, 0) for number in item)
            if isinstance(item, list)
            else 2 * self._whole(key, 1 if item is None else item, 0)
            for item in items
        )

    def bias(self, units: int) -> int:
        """Weights of the bias: one for each unit, unless there is none."""
        return 0 if self.has("use_bias", False) else units

    def has(self, key: str, *values: object) -> bool:
        """Whether an option is one of these."""
        return any(self.values.get(key) is value or self.values.get(key) == value for value in values)

    def _whole(self, key: str, value: Any, least: int) -> int:
        if not _is_whole(value) or value < least:
            raise Senseless(f"has the {key} {_brief(value)}, where a whole number from {least} belongs")
        return min(int(value), MOST)


def _brief(value: Any) -> str:
    if isinstance(value, int) and abs(value) > MOST:
        return "of more than 15 digits"
    text = repr(value) if isinstance(value, int | float | str | Sequence) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:39]}…"


class Size(NamedTuple):
    """The output's shape (None: unknown), the number of weights, and numbers computed per image beside the output."""

    output: Shape | None
    weights: int = 0
    beside: int = 0


Rule = Callable[[Options, Sequence[Shape]], Size]
"""Options and input shapes -> size. Raises Senseless for a size that is none, IndexError where the axes do not fit."""
