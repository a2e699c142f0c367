"""Finds the factors: every module of this folder that defines `FACTORS`, a tuple of `Factor`."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from fruitaudit.diagnosis.factors.base import STAGES, Factor

PACKAGE = "fruitaudit.diagnosis.factors"


@functools.cache
def factors() -> dict[str, Factor]:
    """All factors by name, in the order of their tables."""
    root = importlib.import_module(PACKAGE)
    modules = (importlib.import_module(f"{PACKAGE}.{module.name}") for module in pkgutil.iter_modules(root.__path__))
    registrations = [factor for module in modules for factor in getattr(module, "FACTORS", ())]
    return {factor.name: factor for factor in sorted(registrations, key=lambda factor: factor.order)}


def suspects() -> tuple[Factor, ...]:
    """The factors that may be a cause of a loss, in the order of their tables."""
    return tuple(factor for factor in factors().values() if factor.kind == "cause")


def probes() -> tuple[Factor, ...]:
    """The factors that are tried at a fixed dose."""
    return tuple(factor for factor in factors().values() if factor.kind == "probe")


def position(factor: str) -> tuple[int, int]:
    """When a factor's change is applied among others: smaller first."""
    registered = factors()[factor]
    return STAGES.index(registered.stage), registered.order


def causes() -> dict[str, tuple[str, ...]]:
    """What may follow `cause:` in a claim, and the factors that it stands for."""
    factors_by_cause: dict[str, tuple[str, ...]] = {}
    for factor in suspects():
        for name in (factor.name, *factor.claims):
            factors_by_cause[name] = (*factors_by_cause.get(name, ()), factor.name)
    return factors_by_cause


def table() -> str:
    """The causes as a Markdown table: README's."""
    rows = [f"| `{f.name}` | {f.title} | {f.measured} | {f.applied} | {f.undone or 'not possible'} "
            f"| {', '.join(f'`{claim}`' for claim in f.claims)} |" for f in suspects()]  # fmt: skip
    head = "| cause | title | measured by | made in the lab by | undone in the field by | also means |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])
