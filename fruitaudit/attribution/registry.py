"""Finds the methods: every module of this package that defines `METHODS`, a tuple of `Method` classes.

`providers.registry` adds the same methods by other libraries, and builds a method from a config entry.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil

from fruitaudit.attribution.base import Method, Registration


def methods_in(package: str) -> tuple[type[Method], ...]:
    """The method classes of a package's modules, in the order of module names."""
    root = importlib.import_module(package)
    modules = (importlib.import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(root.__path__))
    return tuple(method for module in modules for method in getattr(module, "METHODS", ()))


@functools.cache
def native_methods() -> dict[str, type[Method]]:
    """The methods of this package by name."""
    return {method.registration.name: method for method in methods_in("fruitaudit.attribution.methods")}


def registrations() -> dict[str, Registration]:
    """What is known of each native method, by name."""
    return {name: method.registration for name, method in native_methods().items()}
