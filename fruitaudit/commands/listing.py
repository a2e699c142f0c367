"""`fruitaudit methods`: what each method shows, what it costs, and who provides it."""

from __future__ import annotations

import dataclasses
import json

from rich.console import Console

from fruitaudit.providers.registry import all_methods


def print_methods(*, as_json: bool) -> None:
    """Print every method and its providers to stdout."""
    methods = all_methods()
    if as_json:
        rows = [dataclasses.asdict(method.registration) for method in methods.values()]
        print(json.dumps(rows, indent=1, default=list))
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
            if registration.requires:
                console.print(f"  needs {registration.requires}")
            console.print(f"  options: {_options(method)}")
            if others:
                console.print(f"  also by: {', '.join(f'{name}@{p}' for p in others)}")
        elif registration.caveat:
            console.print(f"\n{name}@{provider}\n  beware: {registration.caveat}")


def _options(method: type) -> str:
    return ", ".join(f"{field.name}={field.default}" for field in dataclasses.fields(method)) or "none"
