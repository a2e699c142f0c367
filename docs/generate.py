"""Writes the pages of this folder that the code knows: `python docs/generate.py`. `tests/test_docs.py` compares them.

Each page is a function that returns Markdown. Nothing is written by hand twice: keys come from the config's schema,
methods and causes from their registrations, formulas and papers from docstrings.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import fruitaudit
from fruitaudit.config.schema import Config
from fruitaudit.diagnosis.factors import registry
from fruitaudit.providers.registry import all_methods
from fruitaudit.records.metrics import PER_CLASS, SCALARS, TOP_K_METRIC
from fruitaudit.trust.rules import RULES

FOLDER = Path(__file__).resolve().parent
PACKAGE = Path(fruitaudit.__file__).parent


def config() -> str:
    """Every key of the config, from the schema."""
    rows = [f"| `{key}` | {meaning} | {values} | {default} |" for key, meaning, values, default in keys(Config)]
    head = ["| key | meaning | values | default |", "|---|---|---|---|"]
    return _page("Keys of the config", "`fruitaudit schema config` prints the same as JSON Schema.", *head, *rows)


def keys(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(key, meaning, values, default) of each field, nested ones included."""
    for name, field in settings.model_fields.items():
        key = prefix + (field.alias or name)
        nested = list(_settings_in(field.annotation))
        inner = nested[0] if len(nested) == 1 and not _written_short(nested[0]) else None
        values = ", ".join(f"`{value}`" for value in _literals(field.annotation))
        yield key, field.description or "", values, _default(field.default)
        if inner is not None:
            many = get_origin(field.annotation) is tuple or "tuple[" in str(field.annotation)
            yield from keys(inner, f"{key}[]." if many else f"{key}.")


def _settings_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _settings_in(part)


def _written_short(settings: type[BaseModel]) -> bool:
    """Whether a config writes it as one word or mapping of its own, such as a method: its fields are no keys."""
    return settings.__name__ in {"MethodSettings"}


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _literals(part)


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None or value == () or isinstance(value, BaseModel):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def methods() -> str:
    """Every attribution method with formula and paper."""
    parts = []
    all_providers = all_methods()
    for (name, provider), method in all_providers.items():
        if provider != "native":
            continue
        registration = method.registration
        others = [f"`{name}@{p}`" for n, p in all_providers if n == name and p != "native"]
        options = [f"`{f.name}` (default `{f.default}`)" for f in dataclasses.fields(method)]
        parts += [f"## `{name}`: {registration.title}", registration.question,
                  *_docstring(inspect.getdoc(method) or ""),
                  f"- Family: {registration.family}; explains the {registration.explains}; "
                  f"cost per image: {registration.cost}.",
                  f"- Options: {', '.join(options) or 'none'}.",
                  *([f"- Other providers: {', '.join(others)}."] if others else [])]  # fmt: skip
    return _page("Attribution methods", "One section per method, from its docstring and registration.", *parts)


def metrics() -> str:
    """Every metric of the evaluation with formula and source."""
    rows = [f"| `{name}` | {m.meaning} | {m.source} |"
            for name, m in {**SCALARS, "top<k>_accuracy": TOP_K_METRIC}.items()]  # fmt: skip
    each = [f"| `{name}` | {m.meaning} | {m.source} |" for name, m in PER_CLASS.items()]
    head = ["| metric | meaning | source |", "|---|---|---|"]
    return _page("Metrics", "A gate or claim names them: `accuracy[store] >= 0.9`, `recall[store][Pear] >= 0.7`.",
                 "## Of a split", *head, *rows, "## Of a class", *head, *each)  # fmt: skip


def explanation_tests() -> str:
    """Every test of the explanations, from the docstrings that cite a paper, and the rules of the verdict."""
    parts = []
    for path in sorted((PACKAGE / "trust").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in [tree, *tree.body]:
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                text = ast.get_docstring(node) or ""
                if re.search(r"^Papers?:", text, re.MULTILINE):
                    parts += [f"## {getattr(node, 'name', path.stem)}", *_docstring(text)]
    rules = [f"- **{name}**: {rule}" for name, rule in RULES.items()]
    return _page("Tests of the explanations", "Each is run on the model at hand; the last section makes the verdict.",
                 *parts, "## Rules of the verdict", *rules)  # fmt: skip


def causes() -> str:
    """Every suspected cause and every probe, from its file's docstring and registration."""
    parts = []
    for factor in registry.factors().values():
        module = inspect.getmodule(factor.measure)
        claims = ", ".join(f"`cause: {name}`" for name in (factor.name, *factor.claims))
        parts += [f"## `{factor.name}`: {factor.title}", *_docstring(inspect.getdoc(module) or ""),
                  *_docstring(inspect.getdoc(factor.measure) or ""),
                  f"- Measured by: {factor.measured}.", f"- In the lab: {factor.applied}.",
                  f"- In the field: {factor.undone or 'it cannot be taken back'}.",
                  f"- Claims: {claims}." if factor.kind == "cause" else "- A probe: it shows how sensitive the model "
                  "is, and is never named as a cause."]  # fmt: skip
    return _page("Causes", "One section per factor, from its file and registration.", *parts)


PAGES: dict[str, Callable[[], str]] = {
    "config": config,
    "methods": methods,
    "causes": causes,
    "metrics": metrics,
    "explanation-tests": explanation_tests,
}


def _docstring(text: str) -> list[str]:
    """The paragraphs of a docstring; what is indented or holds a formula is kept line by line."""
    return [textwrap.dedent(paragraph).replace("\n", "  \n") for paragraph in text.split("\n\n")]


def _page(title: str, lead: str, *parts: str) -> str:
    """Paragraphs apart by an empty line, rows of a table and items of a list together."""
    text = f"# {title}\n\n{lead} Written by `docs/generate.py`.\n"
    before = ""
    for part in parts:
        together = part[0] == before[:1] and part[0] in "|-"
        text += f"{part}\n" if together else f"\n{part}\n"
        before = part
    return text


def main() -> None:
    """Write every page, and the table of causes in the README."""
    for name, page in PAGES.items():
        (FOLDER / f"{name}.md").write_text(page(), encoding="utf-8")
    readme = FOLDER.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    head = registry.table().splitlines()[0]
    before, _, after = text.partition(head)
    readme.write_text(before + registry.table() + after[after.index("\n\n") :], encoding="utf-8")


if __name__ == "__main__":
    main()
