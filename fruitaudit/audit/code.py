"""The code that each stage runs through, for its key in the cache.

Methods and the door to the model are chosen while running, so that they are named by their objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fruitaudit.runtime.sources import PACKAGE, code_of, modules_in

if TYPE_CHECKING:
    from fruitaudit.attribution.base import Method
    from fruitaudit.models.base import WithScores

Code = dict[str, dict[str, str]]


def predictions_code(model: WithScores) -> Code:
    """Reading, decoding, preparing, and the model."""
    return code_of("fruitaudit.audit.prediction", *_modules(model))


def maps_code(model: WithScores, methods: Iterable[Method]) -> Code:
    """The methods, and what calls them. How images are read is no part of it: their pixels are in the key."""
    return code_of("fruitaudit.attribution.packed", *_modules(model, *methods))


def trust_code(model: WithScores, methods: Iterable[Method]) -> Code:
    """The tests of the explanations, and the methods that they test."""
    return code_of("fruitaudit.trust.run", "fruitaudit.trust.labels", *_modules(model, *methods))


def diagnosis_code(model: WithScores) -> Code:
    """Everything in the room: its factors are found while running."""
    return code_of(*modules_in("fruitaudit.diagnosis"), *_modules(model))


def _modules(*objects: object) -> list[str]:
    """The modules of their classes, and of those that these are derived from."""
    modules = (kind.__module__ for one in objects for kind in type(one).__mro__)
    return [module for module in modules if module.startswith(f"{PACKAGE}.")]
