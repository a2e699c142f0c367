"""A config file and command line flags -> one `Config` with absolute paths; and back to YAML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fruitaudit.config.complaints import complaint
from fruitaudit.config.document import Document, KeyPath, YamlPosition, dotted, dump, parse_value, read_document
from fruitaudit.config.paths import INPUTS, absolute, relative, respelt
from fruitaudit.config.schema import Config
from fruitaudit.errors import ConfigError
from fruitaudit.records.data import Role
from fruitaudit.runtime.hashes import sha256_of
from fruitaudit.runtime.paths import BadPath, real, status, why_no_path
from fruitaudit.runtime.text import listed, shown

DEFAULT_FILE = Path("fruitaudit.yaml")
_ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "reference"), "reference"),
    **dict.fromkeys(("test", "testing", "val", "valid", "validation"), "test"),
}
_LONGEST = 1000
"""Characters of a complaint, which may quote what was written."""


@dataclass(frozen=True)
class LoadedConfig:
    """`config` has absolute paths only; `base` is the folder that the file's paths were relative to.

    `messages` are sentences for the user: what was decided without being asked.
    """

    config: Config
    base: Path
    messages: tuple[str, ...] = ()


def load_config(
    path: Path | None,
    *,
    overrides: Sequence[str] = (),
    allow_code: bool = False,
    model: Path | None = None,
    data: Sequence[str] = (),
    out: Path | None = None,
    methods: str | None = None,
    classes: Path | None = None,
    ci: bool = False,
    search: bool = True,
) -> LoadedConfig:
    """Read a config and lay the flags over it. Raises ConfigError: file, line, key and what to do.

    Paths in the file are relative to the file, paths in flags to the working directory. Without a path it takes
    ./fruitaudit.yaml (unless `search` is False), else the flags alone must name a model and data. `overrides` are
    "dotted.key=YAML value", `data` "NAME=PATH", `methods` "a,b", `classes` a file of class names. `ci`: preprocessing
    must be written down. `allow_code`: the model file and interpreters that the config names may run; a config that
    says they must is refused without it.
    """
    builder = _ConfigBuilder(_open(path, search, flags=model is not None and bool(data)))
    if path is None and builder.document.data:
        builder.messages.append(f"config taken from ./{DEFAULT_FILE}")
    if model is not None:
        builder.put(("model", "path"), str(model), "--model")
    for pair in data:
        builder.split(pair)
    if classes is not None:
        builder.put(("model", "classes"), str(classes), "--classes")
    if methods is not None:
        builder.methods(methods)
    for override in overrides:
        builder.override(override)
    if out is not None:
        builder.put(("out",), str(out), "--out")
    if allow_code:
        builder.put(("model", "allow_code"), True, "--allow-code")
    config = builder.validated()
    if not allow_code:
        _refuse_code(config, builder.document)
    if ci:
        _refuse_inferred(config, builder.document)
    return LoadedConfig(config, builder.document.origins[()].base, tuple(builder.messages))


def dump_config(config: Config, folder: Path) -> str:
    """YAML that loads back to the same config from a file in `folder`; its paths are relative to that."""
    plain = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dump(respelt(plain, lambda path: relative(path, folder)))


def config_hash(config: Config) -> str:
    """SHA-256 of the settings that results depend on. Where files lie is none; what they hold is hashed apart.

    Nor is `memory`: where it makes a difference, by images that are too large, the summaries of the splits say so.
    """
    plain = config.model_dump(mode="json", exclude={"batch_size", "memory", "out", "providers"})
    return sha256_of(respelt(plain, lambda path: path.name))


def config_schema() -> dict[str, Any]:
    """JSON Schema of a config file, in the spellings of the file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema(by_alias=True)}


def _open(path: Path | None, search: bool, *, flags: bool) -> Document:
    if path is not None:
        return read_document(path)
    if search and DEFAULT_FILE.exists():
        return read_document(DEFAULT_FILE)
    if not flags:
        raise ConfigError(
            f"there is no {DEFAULT_FILE} in this folder: name a config, write one with `fruitaudit init`, or give both "
            "--model PATH and --data NAME=PATH"
        )
    return Document({}, {(): YamlPosition("command line", Path.cwd())})


@dataclass
class _ConfigBuilder:
    document: Document
    messages: list[str] = field(default_factory=list)
    data_names: set[str] = field(default_factory=set)
    """Splits that --data has named."""

    def put(self, path: KeyPath, value: object, flag: str) -> None:
        self.document.put(path, value, YamlPosition(flag, Path.cwd()))

    def override(self, text: str) -> None:
        key, equals, value = text.partition("=")
        keys = key.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(
                f"--set {shown(text)}: write it as --set key=value, for example --set model.preprocessing.scale=0-1"
            )
        path = tuple(int(step) if step.isdecimal() else step for step in keys)
        flag = f"--set {shown(key.strip())}"
        self.put(path, parse_value(value, flag), flag)

    def split(self, text: str) -> None:
        """NAME=PATH: another path for a split of that name, else a split more, whose role its name tells."""
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise ConfigError(
                f"--data {shown(text)}: write it as --data NAME=PATH, for example --data test=photos/test"
            )
        if name in self.data_names:
            raise ConfigError(f"--data {shown(text)}: split '{name}' is given twice; give each its own name")
        self.data_names.add(name)
        flag, splits = f"--data {name}", self.document.data.setdefault("splits", [])
        if not isinstance(splits, list):
            raise ConfigError(f"{self.document.origin(('splits',)).label}: 'splits' should be a list")
        for i, split in enumerate(splits):
            if isinstance(split, dict) and split.get("name") == name:
                return self.put(("splits", i, "path"), path, flag)
        role: Role = _ROLES.get(name.lower(), "field")
        splits.append({})
        self.put(("splits", len(splits) - 1), {"name": name, "path": path, "role": role}, flag)
        how = "taken from its name" if name.lower() in _ROLES else "since its name says nothing else"
        return self.messages.append(f"role of split '{name}' {how}: {role}")

    def methods(self, text: str) -> None:
        """For every group, also for those that name methods of their own."""
        names = [name.strip() for name in text.split(",") if name.strip()]
        self.put(("methods",), names, "--methods")
        groups = self.document.data.get("groups")
        overriding = [g for g in groups if isinstance(g, dict) and "methods" in g] if isinstance(groups, list) else []
        for group in overriding:
            del group["methods"]
        if overriding:
            self.messages.append(f"--methods replaces the methods of {len(overriding)} groups that named their own")

    def validated(self) -> Config:
        document = self.document
        for pattern in (*INPUTS, ("out",)):
            for path, value in list(document.walk(*pattern)):
                if isinstance(value, str) and value:
                    origin = document.origin(path)
                    document.put(path, _absolute(value, origin, path), origin)
        try:
            config = Config.model_validate(document.data)
        except ValidationError as error:
            raise ConfigError(shown(complaint(error, document, config_schema()), _LONGEST)) from None
        for pattern in INPUTS:
            for path, value in document.walk(*pattern):
                if isinstance(value, str):
                    _refuse_absent(Path(value), document.origin(path), path)
        if "out" not in document.data:
            config = config.model_copy(update={"out": Path.cwd() / config.out})
        _refuse_out_in_data(config, document)
        return config


def _absolute(value: str, origin: YamlPosition, key: KeyPath) -> str:
    try:
        path = absolute(origin.base, value)
    except BadPath as error:
        raise _bad_path(value, error, origin, key) from None
    if reason := why_no_path(path):
        raise _bad_path(str(path), BadPath(reason), origin, key)
    return str(path)


def _refuse_absent(path: Path, origin: YamlPosition, key: KeyPath) -> None:
    try:
        status(path)
    except BadPath as error:
        raise _bad_path(str(path), error, origin, key) from None


def _bad_path(value: str, error: BadPath, origin: YamlPosition, key: KeyPath) -> ConfigError:
    return ConfigError(f"{origin.label}: '{dotted(key)}': {shown(value)} {error}; correct the path")


def _refuse_out_in_data(config: Config, document: Document) -> None:
    """The report's pictures would be images of the next audit."""
    out = real(config.out)
    for split in config.splits:
        for folder in (split.path, split.originals, split.masks):
            if folder is not None and folder.is_dir() and out.is_relative_to(real(folder)):
                raise ConfigError(f"{document.origin(('out',)).label}: 'out': {config.out} lies within the images of "
                                  f"split {split.name}; name a folder outside of {folder}")  # fmt: skip


def _refuse_code(config: Config, document: Document) -> None:
    """A config may come from anywhere: what it starts is allowed on the command line alone."""
    if config.model.allow_code:
        label = document.origin(("model", "allow_code")).label
        raise ConfigError(
            f"{label}: 'model.allow_code' says that the model file runs code, which only the command line may allow: "
            "if you trust whoever made the file, pass --allow-code"
        )
    for provider in config.providers.interpreters:
        key: KeyPath = ("providers", provider, "python")
        raise ConfigError(
            f"{document.origin(key).label}: '{dotted(key)}' names a program that is run, which only the command line "
            "may allow: if you trust it, pass --allow-code"
        )


def _refuse_inferred(config: Config, document: Document) -> None:
    preprocessing = config.model.preprocessing
    # A loader that is written down gives the rest.
    needed = ("scale",) if preprocessing.loader else ("resize", "interpolation", "scale")
    open_keys = [key for key in needed if getattr(preprocessing, key) is None]
    if guessed := preprocessing.guessed:
        label = document.origin(("model", "preprocessing", "guessed")).label
        raise ConfigError(
            f"{label}: 'model.preprocessing.guessed' says that nobody confirmed {listed(guessed)}, which is refused in "
            "CI (the environment variable CI is set): check them, and remove the key"
        )
    if open_keys:
        label = document.origin(("model", "preprocessing")).label
        raise ConfigError(
            f"{label}: {listed(open_keys)} of 'model.preprocessing' would be inferred, which is refused in CI (the "
            "environment variable CI is set): write them down, as `fruitaudit init` does"
        )
