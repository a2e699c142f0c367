"""Imports go down the list of rooms, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fruitaudit

PACKAGE = Path(fruitaudit.__file__).parent
ROOMS = [
    "errors", "resources", "runtime", "records", "statistics", "config", "data", "models", "inputs", "evaluation",
    "attribution", "providers", "audit", "trust", "diagnosis", "findings", "gates", "report", "rating", "demo",
    "pipeline", "commands", "cli", "__main__",
]  # fmt: skip


def imports_of(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fruitaudit"):
            parts = (node.module or "").split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".")[1] for a in node.names if a.name.startswith("fruitaudit.")]
        rooms |= {name for name in names if name != "__version__"}
    return rooms


def test_imports_go_down_the_list() -> None:
    upward = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        above = set() if room == "__init__" else set(ROOMS[: ROOMS.index(room) + 1])
        upward += [f"{path.relative_to(PACKAGE)} imports {other}" for other in sorted(imports_of(path) - above)]
    assert not upward, upward


OF_KERAS = ("models/keras/", "models/open.py", "providers/", "demo/")
"""Where TensorFlow, Keras and the backend that stands on them may be imported."""


def test_tensorflow_and_keras_stay_behind_the_door() -> None:
    elsewhere = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if not file.startswith(OF_KERAS) and any(map(of_keras, modules_of(path))):
            elsewhere.add(file)
    assert not elsewhere


def modules_of(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; `from a import b` counts as a and as a.b."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


def of_keras(module: str) -> bool:
    return module.split(".")[0] in ("tensorflow", "keras") or f"{module}.".startswith("fruitaudit.models.keras.")


@pytest.mark.parametrize(
    "module",
    ["tensorflow", "keras.layers", "tensorflow.python.ops", "fruitaudit.models.keras", "fruitaudit.models.keras.taps"],
)
def test_the_door_is_seen(module: str) -> None:
    assert of_keras(module)
    assert not of_keras(f"x{module}")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["methods"], ["rate", "--help"], ["evaluate", "--help"], ["verify", "--help"]],
)
def test_tensorflow_is_not_imported_before_it_is_needed(arguments: list[str]) -> None:
    code = (
        "import sys; from fruitaudit.cli import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'lime', 'shap', 'tf_keras_vis', 'tf_explain'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


def test_a_class_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    twice = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert not twice, twice
