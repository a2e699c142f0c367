"""From `saliency`, `saliency@tf-keras-vis` or `{smoothgrad: {samples: 20}}` to a method that is ready to run."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from fruitaudit.attribution.base import Diagnostic, Method, Registration
from fruitaudit.attribution.registry import methods_in, native_methods
from fruitaudit.config.schema import MethodSettings
from fruitaudit.errors import ConfigError
from fruitaudit.models.base import WithScores
from fruitaudit.records.explanations import Explains


@runtime_checkable
class ExplainsByModel(Protocol):
    """A method whose library explains any output: which one, the model decides."""

    def explains_on(self, model: WithScores) -> Explains:
        """What it explains of this model."""
        ...


@runtime_checkable
class ChoosesScore(Protocol):
    """A method that explains what its option says."""

    @property
    def explains(self) -> Explains:
        """The option."""
        ...


@runtime_checkable
class RunsElsewhere(Protocol):
    """A class of methods whose library runs in an environment of its own."""

    def bound_to(self, python: Path | None, *, ask: bool = True) -> type[Method]:
        """The class with an interpreter. Raises ConfigError where there is none, or none with the library.

        Without `ask` the interpreter is not run, and nobody knows whether it has the library.
        """
        ...


@functools.cache
def all_methods() -> dict[tuple[str, str], type[Method]]:
    """Every method class by (name, provider), native ones first."""
    methods = [*native_methods().values(), *methods_in("fruitaudit.providers")]
    return {(method.registration.name, method.registration.provider): method for method in methods}


def providers_of(name: str) -> tuple[str, ...]:
    """The providers of a method, "native" first."""
    return tuple(provider for method, provider in all_methods() if method == name)


def registration(settings: MethodSettings) -> Registration:
    """What is known of the method that a config entry names; raises ConfigError where there is no such one."""
    return _method_class(settings).registration


def diagnostics_of(spelling: str) -> dict[str, Diagnostic]:
    """The registered diagnostics of a method, by name; empty for a method of another version.

    `spelling` is the config's: "lime" or "lime@another_library".
    """
    name, _, provider = spelling.partition("@")
    method = all_methods().get((name, provider or "native"))
    return {diagnostic.name: diagnostic for diagnostic in method.registration.diagnostics} if method else {}


def explains_of(method: Method, model: WithScores) -> Explains:
    """What a method explains of this model: by its option, or, where the library explains any output, by the model."""
    if isinstance(method, ExplainsByModel):
        return method.explains_on(model)
    return method.explains if isinstance(method, ChoosesScore) else method.registration.explains


def build(
    settings: MethodSettings, interpreters: Mapping[str, Path] = MappingProxyType({}), *, ask: bool = True
) -> Method:
    """The method with its options set. Raises ConfigError, one sentence, for what cannot be built.

    `interpreters` by provider, for libraries that run in an environment of their own; without `ask` none is run.
    """
    method = _method_class(settings)
    if isinstance(method, RunsElsewhere):
        method = method.bound_to(interpreters.get(settings.provider), ask=ask)
    package = method.registration.package
    if package:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            raise ConfigError(f"{settings.spelling} needs the package {package}: pip install {package}") from None
    names = [field.name for field in dataclasses.fields(method)]  # type: ignore[arg-type]
    for option in settings.options:
        if option not in names:
            raise ConfigError(_unknown(f"{settings.spelling} has no option", option, names))
    try:
        return method(**settings.options)
    except ValidationError as error:
        raise ConfigError(_sentence(settings.spelling, error)) from None


def _method_class(settings: MethodSettings) -> type[Method]:
    if settings.name not in native_methods():
        raise ConfigError(_unknown("there is no method", settings.name, native_methods()))
    try:
        return all_methods()[settings.name, settings.provider]
    except KeyError:
        start = f"{settings.name} has no provider"
        raise ConfigError(_unknown(start, settings.provider, providers_of(settings.name))) from None


def _unknown(start: str, name: str, names: Iterable[str]) -> str:
    names = list(names)
    matches = difflib.get_close_matches(name, names, n=1)
    if matches:
        return f"{start} '{name}'; did you mean '{matches[0]}'?"
    return f"{start} '{name}'; there is {', '.join(names)}" if names else f"{start} '{name}', nor any other"


def _sentence(spelling: str, error: ValidationError) -> str:
    first: Any = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if not first["loc"]:
        return f"{spelling}: {message}"
    return f"{spelling}: {first['loc'][0]} {message}, not {first['input']!r}"
