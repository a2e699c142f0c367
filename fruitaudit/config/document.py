"""YAML text -> plain values that remember where they were written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fruitaudit.errors import ConfigError
from fruitaudit.runtime.paths import real, why_no_path
from fruitaudit.runtime.text import shown

Key = str | int
KeyPath = tuple[Key, ...]

_SCALARS = (
    # YAML 1.2: `on`, `no` and 2024-01-01 are words, 1e-3 is a number, 007 keeps its zeros.
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("int", re.compile(r"[-+]?(0|[1-9][0-9]*)"), "-+0123456789"),
    ("float", re.compile(r"[-+]?(([0-9]*\.[0-9]+|[0-9]+\.)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.inf)|\.nan"),
     "-+.0123456789"),
    ("null", re.compile(r"~|null|Null|NULL|"), "~nN\0"),
    ("merge", re.compile("<<"), "<"),
)  # fmt: skip


_TAG = "tag:yaml.org,2002:"
_PATTERNS = {kind: pattern for kind, pattern, _ in _SCALARS if kind != "merge"}
_LONGEST_NUMBER = 300
"""Characters: Python itself refuses to read whole numbers of some thousand digits."""
MAX_VALUES = 100_000
"""Aliases of aliases could stand for more than any memory holds."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML declares it


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would take for something else than text."""


for _tag, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _whole = re.compile(f"(?:{_pattern.pattern})$")
        _class.add_implicit_resolver(_TAG + _tag, _whole, ["" if c == "\0" else c for c in _first])


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Unquoted, PyYAML would fold U+0085 and its like into a line break.
    return dumper.represent_scalar(_TAG + "str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)


@dataclass(frozen=True)
class YamlPosition:
    """Where a value was written ("audit.yaml:7" or "--set seed"), and the folder its paths are relative to."""

    label: str
    base: Path


@dataclass
class Document:
    """A config under construction: plain values, and the origin of each key path."""

    data: dict[str, Any]
    origins: dict[KeyPath, YamlPosition] = field(default_factory=dict)

    def origin(self, path: KeyPath) -> YamlPosition:
        """Where this key, or else the nearest one that holds it, was written."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins[path]

    def put(self, path: KeyPath, value: object, origin: YamlPosition) -> None:
        """Set one value; what lay below it is forgotten. Raises ConfigError where the path leads nowhere."""
        container: Any = self.data
        for depth, step in enumerate(path):
            if isinstance(container, list):
                if not isinstance(step, int) or not 0 <= step < len(container):
                    raise ConfigError(
                        f"{origin.label}: '{dotted(path[:depth])}' is a list of {len(container)} entries, "
                        f"numbered from 0; {shown(repr(str(step)))} is none of them"
                    )
            elif not isinstance(container, dict):
                raise ConfigError(f"{origin.label}: '{dotted(path[:depth])}' holds no further keys")
            if depth == len(path) - 1:
                container[step] = value
            elif isinstance(container, dict) and container.get(step) is None:
                container[step] = {}
                self.origins[path[: depth + 1]] = origin
            container = container[step]
        for key_path in [key_path for key_path in self.origins if key_path[: len(path)] == path]:
            del self.origins[key_path]
        self.origins[path] = origin

    def walk(self, *pattern: Key | None) -> Iterator[tuple[KeyPath, Any]]:
        """All (key path, value) that fit the pattern; None stands for every entry of a list."""
        matches: list[tuple[KeyPath, Any]] = [((), self.data)]
        for step in pattern:
            below = []
            for path, value in matches:
                if step is None and isinstance(value, list):
                    below += [((*path, i), entry) for i, entry in enumerate(value)]
                elif isinstance(value, dict) and step in value:
                    below.append(((*path, str(step)), value[step]))
            matches = below
        yield from matches


def dotted(path: KeyPath) -> str:
    """A key path as `--set` spells it: "splits.0.path"."""
    return shown(".".join(map(str, path)))


def read_document(path: Path, label: str | None = None) -> Document:
    """Read a YAML file whose top level is a mapping."""
    label = label or str(path)
    try:
        if reason := why_no_path(path):
            raise ConfigError(f"{shown(label)}: the path {reason}")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{label}: there is no such file; `fruitaudit init` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{label}: cannot be read as a config: {reason}") from None
    document = Document({}, {(): YamlPosition(label, real(path).parent)})
    data = _parse(text, label, document)
    if data is None:
        raise ConfigError(f"{label}: the file is empty; `fruitaudit init` writes a config to start from")
    if not isinstance(data, dict):
        raise ConfigError(f"{label}: a config is a mapping of keys to values, such as `model: {{path: model.keras}}`")
    document.data = data
    return document


def parse_value(text: str, label: str) -> Any:
    """A YAML value given on the command line."""
    try:
        return _parse(text, label, Document({}, {(): YamlPosition(label, Path())}))
    except ConfigError as error:  # there is no line to name
        raise ConfigError(str(error).replace(f"{label}:1:", f"{label}:", 1)) from None


def dump(value: object) -> str:
    """YAML text that `read_document` reads back to the same values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _parse(text: str, label: str, document: Document) -> Any:
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _Builder(loader, document, label).build(node, (), [])
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(
            f"{label}{line}: this is not valid YAML: {shown(error.problem or error.context or '')}"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ConfigError(f"{label}: this is not valid YAML: {reason}") from None


@dataclass
class _Builder:
    """Plain values of YAML nodes; notes the line of every key on the way."""

    loader: Any
    document: Document
    label: str
    n_values: int = 0

    def build(self, node: Any, path: KeyPath, above: list[Any]) -> Any:
        """The value of a node that stands within the nodes `above`."""
        where = f"{self.label}:{node.start_mark.line + 1}"
        self.n_values += 1
        if node in above:
            raise ConfigError(f"{where}: '{dotted(path)}' contains itself")
        if self.n_values > MAX_VALUES:
            raise ConfigError(
                f"{where}: a config holds at most {MAX_VALUES} values, and aliases stand for all of theirs"
            )
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            for i, entry in enumerate(node.value):
                _note(self.document, (*path, i), entry, self.label)
            return [self.build(entry, (*path, i), [*above, node]) for i, entry in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path, [*above, node])
        return _scalar(self.loader, node, where)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, above: list[Any]) -> dict[str, Any]:
        _refuse_duplicates(self.loader, node, path, self.label)
        self.loader.flatten_mapping(node)
        mapping = {}
        for key_node, value_node in node.value:
            key = _key(self.loader, key_node, self.label)
            _note(self.document, (*path, key), key_node, self.label)
            mapping[key] = self.build(value_node, (*path, key), above)
        return mapping


def _scalar(loader: Any, node: yaml.Node, where: str) -> Any:
    """Text, or what a config spells without a tag: PyYAML's own constructors raise anything for `!!float abc`."""
    kind = node.tag.removeprefix(_TAG)
    if not isinstance(node, yaml.ScalarNode) or kind not in ("str", *_PATTERNS):
        raise ConfigError(f"{where}: this is not valid YAML: could not determine what the tag {_spelled(node.tag)} "
                          "stands for here; leave it out")  # fmt: skip
    if kind == "str":
        return _whole_characters(str(node.value), where)
    if not _PATTERNS[kind].fullmatch(node.value):
        raise ConfigError(f"{where}: {shown(repr(node.value))} is no {kind}; leave the tag {_spelled(node.tag)} out, "
                          "or write a value that fits it")  # fmt: skip
    if len(node.value) > _LONGEST_NUMBER:
        raise ConfigError(f"{where}: a number of {len(node.value)} digits; write one of at most {_LONGEST_NUMBER}")
    return loader.construct_object(node)


def _spelled(tag: str) -> str:
    return shown("!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag)


def _whole_characters(text: str, where: str) -> str:
    """JSON spells a character beyond 16 bits as two escapes, which YAML takes for two halves."""
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {shown(repr(text))} holds half a character; write the character itself") from None


def _refuse_duplicates(loader: Any, node: yaml.MappingNode, path: KeyPath, label: str) -> None:
    lines: dict[str, int] = {}
    for key_node, _ in node.value:
        key, line = _key(loader, key_node, label), key_node.start_mark.line + 1
        if key in lines:
            where = f"'{dotted(path)}'" if path else "the top level"
            raise ConfigError(
                f"{label}:{line}: key {shown(repr(key))} in {where} was already written on line {lines[key]}"
            )
        lines[key] = line


def _key(loader: Any, node: yaml.Node, label: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(f"{label}:{node.start_mark.line + 1}: a key must be a word")
    return _whole_characters(str(node.value), f"{label}:{node.start_mark.line + 1}")


def _note(document: Document, path: KeyPath, node: yaml.Node, label: str) -> None:
    document.origins[path] = YamlPosition(f"{label}:{node.start_mark.line + 1}", document.origins[()].base)
