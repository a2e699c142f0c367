"""The code that a result was made by: sources and library versions, for the keys of the cache.

A module's closure is what it imports, directly or through others, within this package. It is read from the sources,
so that nothing has to be imported for it. Methods and factors are found while running, and are no part of the closure
of what finds them: whoever asks for the code of a stage names those that it uses.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).resolve().parents[1]
VALUES_ONLY = (f"{PACKAGE}.config.schema", f"{PACKAGE}.config.load")
"""What they make reaches a stage as settings, which are in its key: they belong to no closure."""
_DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Distributions whose name is not that of their module."""
_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:[^\n]*\n(?:[ \t]+[^\n]*\n|\n)+", re.MULTILINE)
# A parser takes ten times as long as this pattern; the tests compare the two.
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+)?import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)
_NAME = re.compile(r"^\s*([\w.]+)")
_COMMENT = re.compile(r"#[^\n]*")


def code_of(*modules: str) -> dict[str, dict[str, str]]:
    """What a result depends on besides its inputs, where these modules made it: hashes of sources, and versions."""
    modules_used = closure(modules)
    libraries = sorted({library for module in modules_used for library in imports_of(module)[1]})
    versions = {library: version_of(library) for library in libraries}
    versions["python"] = ".".join(map(str, sys.version_info[:3]))
    return {"sources": {module: _sha256(module) for module in sorted(modules_used)}, "versions": versions}


def closure(modules: Iterable[str]) -> frozenset[str]:
    """These modules and all of this package that they import, directly or through others."""
    members, pending = set[str](), list(modules)
    while pending:
        module = pending.pop()
        if module not in members and module not in VALUES_ONLY:
            members.add(module)
            pending += imports_of(module)[0]
    return frozenset(members)


def modules_in(package: str) -> tuple[str, ...]:
    """All modules below a package of this one, by name."""
    return tuple(module for module in sorted(_files()) if module == package or module.startswith(f"{package}."))


@functools.cache
def imports_of(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """The modules of this package, and the libraries, that a module names in import statements anywhere."""
    text = _source(module).decode()
    if "TYPE_CHECKING" in text:
        text = _FOR_TYPES.sub("", text)
    names = set[str]()
    for base, imported in _IMPORT.findall(text):
        listed = _COMMENT.sub("", imported).strip("()").split(",")
        imported_names = [match[1] for name in listed if (match := _NAME.match(name))]
        names |= {base, *(f"{base}.{name}" for name in imported_names)} if base else set(imported_names)
    own_modules = {name for name in names if name in _files()}
    own_modules |= {parent for name in own_modules for parent in _parents(name)}
    tops = {name.partition(".")[0] for name in names} - {PACKAGE} - sys.stdlib_module_names
    return frozenset(own_modules), frozenset(tops)


@functools.cache
def version_of(library: str) -> str:
    """The version of the distribution that holds a module, "not installed" without one."""
    try:
        return metadata.version(_DISTRIBUTIONS.get(library, library.replace("_", "-")))
    except metadata.PackageNotFoundError:
        return "not installed"


def _parents(module: str) -> list[str]:
    """The packages that are imported with a module."""
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(2, len(parts))]


@functools.cache
def _files() -> dict[str, str]:
    """The path of every module but the package's own, which holds the version of the program alone."""
    start = len(str(ROOT)) + 1
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(ROOT) for name in names if name.endswith(".py")]
    dotted = ((path[start:-3].removesuffix(f"{os.sep}__init__").replace(os.sep, "."), path) for path in paths)
    return {f"{PACKAGE}.{name}": path for name, path in dotted if name != "__init__"}


@functools.cache
def _source(module: str) -> bytes:
    return Path(_files()[module]).read_bytes()


@functools.cache
def _sha256(module: str) -> str:
    return hashlib.sha256(_source(module)).hexdigest()
