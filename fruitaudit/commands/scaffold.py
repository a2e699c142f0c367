"""Writes a first config for a model and its data, with what could be found out filled in and explained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
import yaml

from fruitaudit.audit.opening import open_inputs
from fruitaudit.config.load import load_config
from fruitaudit.config.schema import NAME
from fruitaudit.errors import ConfigError
from fruitaudit.resources import resource
from fruitaudit.runtime.files import write_text
from fruitaudit.runtime.paths import output_file, real
from fruitaudit.runtime.streams import Streams


def scaffold(
    model: Path,
    data: Sequence[str],
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    classes: Path | None = None,
    allow_code: bool = False,
) -> tuple[str, ...]:
    """Write `out`; returns what was decided without being asked, in sentences.

    Opens model and data, so that a config is never written that does not run. `size` (height, width) is needed only
    where the model leaves it open, the file `classes` where it has more outputs than the data have labels.
    """
    out = output_file(out)
    if out.exists():
        raise ConfigError(f"{out} exists; remove it or name another file with --out")
    pairs = [pair for entry in data for pair in _splits(entry)]
    named_splits = [f"{name}={path}" for name, path in pairs]
    overrides = [f"model.preprocessing.size={list(size)}"] if size else []
    loaded = load_config(
        None, model=model, data=named_splits, overrides=overrides, classes=classes, allow_code=allow_code, search=False
    )  # fmt: skip
    config = loaded.config
    opened = open_inputs(config, Streams(config.seed))
    judged = next([s.name for s in config.splits if s.role == role] for role in ("field", "test", "reference")
                  if any(s.role == role for s in config.splits))  # fmt: skip
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False).from_string(  # noqa: S701
        resource("templates", "init.yaml").read_text(encoding="utf-8")
    )
    text = template.render(
        model=_quote(_relative_path(out, config.model.path)),
        allow_code=allow_code,
        preprocessing=opened.preprocessing,
        splits=[(s.name, _quote(_relative_path(out, s.path)), s.role) for s in config.splits],
        n_classes=len(opened.class_names),
        classes_file=_quote(_relative_path(out, config.model.classes))
        if isinstance(config.model.classes, Path)
        else "",
        classes=_quote(opened.class_names[0]),
        class_names_from=opened.class_names_from,
        judged=judged,
        size=size,
    )
    write_text(out, text)
    return loaded.messages


def _splits(entry: str) -> list[tuple[str, str]]:
    """`NAME=PATH`, a split named like its folder, or a folder whose folders are splits."""
    name, equals, path = entry.partition("=")
    if equals:
        return [(name, path)]
    folder = Path(entry)
    if not folder.exists():
        raise ConfigError(f"{entry} does not exist; name a split as NAME=PATH")
    inner = _folders(folder)
    if inner and all(map(_folders, inner)):
        return [(p.name, str(p)) for p in inner]
    name = folder.stem
    if not NAME.fullmatch(name):
        raise ConfigError(f"{entry}: give this split a name of letters and digits, as NAME={entry}")
    return [(name, str(folder))]


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, without hidden ones."""
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")) if path.is_dir() else []


def _relative_path(out: Path, path: Path) -> str:
    """As seen from the config's folder where it lies below, so that both can move together."""
    base, full = real(out).parent, real(path)
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else str(full)


def _quote(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**6).strip()
