"""What several methods need of the same images, made once where the model is known to stay as it is."""

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

Made = TypeVar("Made")


ROOM = 1 << 28
"""Bytes that are kept of a group of images at most."""


@dataclass
class Shared:
    """What methods have made so far, and of it what the last one found ready-made."""

    made: dict[Hashable, tuple[Any, ...]] = field(default_factory=dict)
    size: int = 0
    found: list[str] = field(default_factory=list)


_shared: ContextVar[Shared | None] = ContextVar("shared", default=None)


@contextmanager
def sharing(shared: Shared) -> Iterator[None]:
    """In here methods share; no weight of the model may change between the first use of `shared` and the last."""
    shared.found.clear()
    token = _shared.set(shared)
    try:
        yield
    finally:
        _shared.reset(token)


def made_once(
    what: str, make: Callable[[], Made], model: Model, images: Images, targets: Targets, *settings: Hashable
) -> Made:
    """`make()`, an array or a record of arrays, or what it made for another method.

    Outside `sharing` nothing is kept, nor what there is no `ROOM` for.
    """
    shared = _shared.get()
    if shared is None:
        return make()
    against = None if targets.against is None else targets.against.tobytes()
    ends = images.low.tobytes(), images.high.tobytes()
    key = (what, id(model), id(images.values), *ends, images.sample_ids, targets.classes.tobytes(), against, *settings)
    if key in shared.made:
        shared.found.append(what)
        return cast("Made", shared.made[key][0])
    made = make()
    size = sum(array.nbytes for array in ([made] if isinstance(made, np.ndarray) else vars(made).values()))
    if shared.size + size <= ROOM:
        # With the model and the array, so that no other gets their ids.
        shared.made[key] = made, model, images.values
        shared.size += size
    return made
