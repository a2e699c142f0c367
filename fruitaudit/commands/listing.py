"""`fruitaudit methods`: what each method shows, what it costs, and who provides it."""

from __future__ import annotations

import dataclasses
import json

from rich.console import Console

from fruitaudit.providers.registry import all_methods

_FOR_TESTS = {"contract_options", "quick_options", "sensitivity_options"}
"""Fields of a registration by which methods are tested: nothing that a user asks for."""


def print_methods(*, as_json: bool) -> None:
    """Print every method and its providers to stdout."""
    methods = all_methods()
    if as_json:
        rows = [dataclasses.asdict(method.registration) for method in methods.values()]
        print(json.dumps([{k: v for k, v in row.items() if k not in _FOR_TESTS} for row in rows], indent=1))
        return
    console = Console(highlight=False, markup=False)
    for (name, provider), method in methods.items():
        registration = method.registration
        if provider == "native":
            others = [p for n, p in methods if n == name and p != "native"]
            console.print(f"\n{name}  ({registration.family}: {registration.title}, {registration.paper})")
            console.print(f"  {registration.question}")
            rather = ", also why this class rather than that one" if registration.contrast else ""
            console.print(f"  explains the {registration.explains}{rather}; cost per image: {registration.cost}")
            for requirement in registration.requires:
                console.print(f"  needs {requirement}")
            console.print(f"  options: {_options(method)}")
            if others:
                console.print(f"  also by: {', '.join(f'{name}@{p}' for p in others)}")
        elif registration.caveat:
            console.print(f"\n{name}@{provider}\n  beware: {registration.caveat}")


def _options(method: type) -> str:
    return ", ".join(f"{field.name}={field.default}" for field in dataclasses.fields(method)) or "none"
