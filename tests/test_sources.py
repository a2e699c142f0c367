"""The code that a stage runs through: read from the sources, and in the key of what the stage made."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

import fruitaudit
from fruitaudit.runtime import sources
from fruitaudit.runtime.sources import closure, code_of, imports_of, modules_in, version_of

PACKAGE = Path(fruitaudit.__file__).parent
OPTIONAL = {"alibi"}
STAGES = """
import json
from fruitaudit.audit.code import diagnosis_code, maps_code, predictions_code, trust_code
from fruitaudit.attribution.methods.occlusion import Occlusion
from fruitaudit.attribution.methods.saliency import Saliency

print(json.dumps({
    "predictions": predictions_code(None), "saliency": maps_code(None, [Saliency()]),
    "occlusion": maps_code(None, [Occlusion()]), "trust": trust_code(None, [Saliency()]),
    "diagnosis": diagnosis_code(None)}))
"""
ALL = {"predictions", "saliency", "occlusion", "trust", "diagnosis"}


def parsed(path: Path) -> tuple[set[str], set[str]]:
    """What a module imports, by Python's own parser: (bases, names in full)."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    bases, names = set(), set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            bases |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not read"
            bases.add(str(node.module))
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return bases, names


def test_imports_are_those_that_a_parser_finds() -> None:
    for module in modules_in("fruitaudit"):
        modules, libraries = imports_of(module)
        path = Path(sources._files()[module])
        bases, names = parsed(path)
        expected = {name for name in bases | names if name in sources._files()}
        assert expected <= modules, module
        parents = {".".join(name.split(".")[:n]) for name in expected for n in range(2, name.count(".") + 1)}
        assert modules == expected | parents, module
        tops = {name.split(".")[0] for name in bases} - sys.stdlib_module_names - {"fruitaudit"}
        assert libraries == tops, module


def test_every_library_that_is_imported_has_a_version() -> None:
    libraries = {library for module in modules_in("fruitaudit") for library in imports_of(module)[1]} - OPTIONAL
    assert {library for library in libraries if version_of(library) == "not installed"} == set()
    assert version_of("cv2") == metadata.version("opencv-python-headless")


def test_a_method_knows_the_model_it_runs_through_and_no_other_method() -> None:
    modules = closure(["fruitaudit.attribution.methods.saliency", "fruitaudit.attribution.packed"])
    assert {"fruitaudit.attribution.scores", "fruitaudit.records.packing", "fruitaudit.runtime.streams"} <= modules
    assert {m for m in modules if ".methods." in m} == {"fruitaudit.attribution.methods.saliency"}
    assert not {m for m in modules if m.startswith(("fruitaudit.trust", "fruitaudit.diagnosis", "fruitaudit.report"))}


def test_imports_within_functions_count() -> None:
    assert "tensorflow" in code_of("fruitaudit.models.keras.classifier")["versions"]
    assert "sklearn" in imports_of("fruitaudit.demo.digits")[1]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "fruitaudit", ignore=shutil.ignore_patterns("__pycache__"))
    for beside in ("configs", "templates"):
        shutil.copytree(PACKAGE.parent / beside, folder / beside)
    shutil.copy(PACKAGE.parent / "pyproject.toml", folder)
    return folder


def python(copied: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=copied,
                          env=os.environ | {"PYTHONPATH": str(copied)})  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout


def codes(copied: Path) -> Mapping[str, object]:
    stages: Mapping[str, object] = json.loads(python(copied, "-c", STAGES))
    return stages


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("attribution/methods/saliency.py", {"saliency", "trust"}),
        ("attribution/methods/occlusion.py", {"occlusion"}),
        ("data/decode.py", {"predictions", "diagnosis"}),
        ("trust/rules.py", {"trust"}),
        ("records/packing.py", {"saliency", "occlusion", "diagnosis"}),
        ("diagnosis/gap/decomposition.py", {"diagnosis"}),
        ("runtime/streams.py", ALL),
        ("report/panels.py", set()),
        ("gates/judging.py", set()),
    ],
)
def test_a_changed_line_changes_the_stages_that_run_through_it(copied: Path, file: str, stages: set[str]) -> None:
    path = copied / "fruitaudit" / file
    before, text = codes(copied), path.read_text()
    path.write_text(text + "# changed\n")
    after = codes(copied)
    path.write_text(text)
    assert {stage for stage in ALL if before[stage] != after[stage]} == stages


@pytest.mark.slow
def test_an_audit_runs_again_what_the_change_reaches(copied: Path, digits: Path, tmp_path: Path) -> None:
    """In a copy of the program: each edit changes what is computed, into the same folder."""
    edits = [
        ("", "", "", set()),
        ("attribution/methods/saliency.py", "reduce_channels(", "3 * reduce_channels(", {"explain saliency", "trust"}),
        ("data/decode.py", "", "# changed\n", {"predict", "diagnosis"}),
        ("trust/rules.py", "RANDOMIZATION_LIMIT = 0.7", "RANDOMIZATION_LIMIT = 0.71", {"trust"}),
        ("diagnosis/gap/decomposition.py", "", "# changed\n", {"diagnosis"}),
    ]
    out = tmp_path / "out"
    command = ["-m", "fruitaudit", "evaluate", str(digits / "fruitaudit.yaml"), "--out", str(out), "--quiet"]
    for override in (
        "methods=[saliency, input_x_gradient]",
        "max_images=2",
        "trust=quick",
        "diagnosis=quick",
        "gates=[]",
    ):
        command += ["--set", override]
    python(copied, *command)
    whole = {row["file"]: row["scale"] for row in results(out)["explanations"]}
    for file, old, new, expected in edits:
        if file:
            path = copied / "fruitaudit" / file
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new) if old else text + new)
        python(copied, *command)
        timings = json.loads((out / "run.json").read_text())["timings"]
        assert {kind for t in timings if (kind := stage(t["step"])) and not t["cached"]} == expected, file
    scales = {row["file"]: row["scale"] for row in results(out)["explanations"]}
    for file, scale in scales.items():
        assert scale == pytest.approx((3 if "saliency" in file else 1) * whole[file], rel=1e-5)


def results(out: Path) -> dict[str, list[dict[str, object]]]:
    rows: dict[str, list[dict[str, object]]] = json.loads((out / "results.json").read_text())
    return rows


def stage(step: str) -> str:
    if step.startswith("predict "):
        return "predict"
    if step.startswith("explain "):
        return f"explain {step.rpartition(' by ')[2]}"
    return {"test the explanations": "trust", "look for causes": "diagnosis"}.get(step, "")
