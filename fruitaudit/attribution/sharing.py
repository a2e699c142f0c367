"""Values that several methods need of the same images, computed once where the model is known not to change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from fruitaudit.attribution.base import Model
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets

Value = TypeVar("Value")


CACHE_BYTES = 1 << 28
"""Largest size of the cache for one group of images."""


@dataclass
class Shared:
    """Per-group cache of gradients; `hits` lists the current method's cache hits."""

    entries: dict[Hashable, tuple[Any, ...]] = field(default_factory=dict)
    size: int = 0
    hits: list[str] = field(default_factory=list)


_shared: ContextVar[Shared | None] = ContextVar("shared", default=None)


@contextmanager
def sharing(shared: Shared) -> Iterator[None]:
    """In here methods share; no weight of the model may change between the first use of `shared` and the last."""
    shared.hits.clear()
    token = _shared.set(shared)
    try:
        yield
    finally:
        _shared.reset(token)


def computed_once(
    label: str, compute: Callable[[], Value], model: Model, images: Images, targets: Targets, *settings: Hashable
) -> Value:
    """`compute()`, an array or a record of arrays, or the value that it gave to another method.

    Nothing is kept outside `sharing`, nor beyond `CACHE_BYTES`.
    """
    shared = _shared.get()
    if shared is None:
        return compute()
    against = None if targets.against is None else targets.against.tobytes()
    ends = images.low.tobytes(), images.high.tobytes()
    key = (label, id(model), id(images.values), *ends, images.sample_ids, targets.classes.tobytes(), against, *settings)
    if key in shared.entries:
        shared.hits.append(label)
        return cast("Value", shared.entries[key][0])
    value = compute()
    size = sum(array.nbytes for array in ([value] if isinstance(value, np.ndarray) else vars(value).values()))
    if shared.size + size <= CACHE_BYTES:
        # With the model and the array, so that no other gets their ids.
        shared.entries[key] = value, model, images.values
        shared.size += size
    return value
