"""`docs/extending.md` is true: its files, in a copy of the package, make a method, a cause and a report section."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"<!-- (file|append): (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for name in ("fruitaudit", "templates", "configs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    for mode, name, text in BLOCK.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")):
        before = (folder / name).read_text(encoding="utf-8") if mode == "append" else ""
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(before + text, encoding="utf-8")
    return folder


def run(copy: Path, *arguments: object) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_the_method_is_listed_and_keeps_the_contract(copy: Path) -> None:
    assert "smoothgrad_squared  (gradient: SmoothGrad-Squared" in run(copy, "-m", "fruitaudit", "methods")
    output = run(
        copy,
        "-m",
        "pytest",
        "tests/attribution/test_attribution_contract.py",
        "-k",
        "smoothgrad_squared",
        "-p",
        "no:cacheprovider",
        "-n0",
    )
    assert len(re.findall(r"\.", output.split("[")[0])) >= 10


def test_the_section_stands_in_the_report(copy: Path, tmp_path: Path) -> None:
    case = "from pathlib import Path; from fruitaudit.demo.digits import make_case; print(make_case(Path('case')))"
    config = run(copy, "-c", case).strip()
    settings = ("methods=[]", "trust=off", "diagnosis=off", "gates=[]")
    run(copy, "-m", "fruitaudit", "evaluate", config, "--out", tmp_path, *(x for s in settings for x in ("--set", s)))
    assert "Surest errors</h2>" in (tmp_path / "report.html").read_text(encoding="utf-8")
