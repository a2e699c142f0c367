"""Equal parameters for the native method and the same method by another provider."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import ValidationError

from fruitaudit.attribution.base import Method


@runtime_checkable
class WithFixedOptions(Protocol):
    """A provider's method whose library leaves no choice where the native method does."""

    fixed: ClassVar[dict[str, Any]]
    """What the library always does, in options of the native method."""


def options_of(method: Method) -> dict[str, Any]:
    """Every option of a method with its value."""
    return dataclasses.asdict(method)  # type: ignore[call-overload]


def options_for(kind: type[Method], native: Method) -> dict[str, Any]:
    """Those options of the native method that a provider has too, where it takes the value."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return {name: value for name, value in options_of(native).items() if name in names and _takes(kind, name, value)}


def native_options(method: Method) -> dict[str, Any]:
    """Options of the native method that do what a provider's does.

    Those that both have, and the provider's `fixed`: what its library always does, and the native method if told to.
    """
    return options_of(method) | (method.fixed if isinstance(method, WithFixedOptions) else {})


def _takes(kind: type[Method], name: str, value: object) -> bool:
    try:
        kind(**{name: value})
    except ValidationError:
        return False
    return True
