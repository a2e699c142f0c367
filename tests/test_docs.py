"""What README and `docs/` say of the code is what the code says."""

from __future__ import annotations

import importlib.util
import re
from collections import defaultdict
from pathlib import Path

import pytest
from test_rooms import ROOMS

from fruitaudit.attribution.registry import native_methods
from fruitaudit.pipeline import OUTPUTS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEC = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert SPEC is not None
assert SPEC.loader is not None
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)

FAMILIES = {
    "inside the model": "inside",
    "gradients": "gradient",
    "backward rules": "backward",
    "class activation maps": "cam",
    "perturbation": "perturbation",
    "counterfactuals": "counterfactual",
    "by example": "example",
    "controls that must lose": "control",
}


def table(head: str) -> list[list[str]]:
    """The rows of the README's table whose first line is `head`."""
    lines = README[README.index(head) :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    page = Path(ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert page == generate.PAGES[name](), "run: python docs/generate.py"


def test_every_method_stands_in_the_readme_in_its_family() -> None:
    expected = defaultdict(set)
    for name, method in native_methods().items():
        expected[method.registration.family].add(name)
    assert {FAMILIES[family]: set(names(methods)) for family, methods in table("| family | methods |")} == expected


def test_every_key_of_the_config_stands_in_the_readme_with_its_default() -> None:
    defaults = {key: default for key, _, _, default in generate.keys(generate.Config)}
    inner = ("model.preprocessing.scale.", "gates[].")
    containers = {"model", "splits", "providers", "model.preprocessing", "providers.alibi"}
    documented: dict[str, str] = {}
    for cells in table("| key | meaning | default |"):
        first, *more = names(cells[0])[0].split(", ")
        documented |= {first: cells[-1]} | {f"{first.rpartition('.')[0]}.{key}": cells[-1] for key in more}
    for cells in table("| key of a group | meaning | default |"):
        documented |= {f"groups[].{key}": cells[-1] for key in names(cells[0])}
    expected = {key for key in defaults if key not in containers and not key.startswith(inner)}
    assert set(documented) == expected
    wrong = {
        key: (value, defaults[key])
        for key, value in documented.items()
        if re.fullmatch("`[^`]+`", value) and value != defaults[key]
    }
    assert not wrong


def test_every_file_that_an_audit_writes_stands_in_the_readme() -> None:
    documented = {name.split("/")[0] for cells in table("| file | what |") for name in names(cells[0])}
    assert documented == {*OUTPUTS, ".cache"}


def test_every_room_stands_in_the_readme_in_the_order_of_imports() -> None:
    rooms = [n.removesuffix(".py").rstrip("/") for cells in table("| room | what it does |") for n in names(cells[0])]
    assert [room for room in rooms if room != "templates"] == [room for room in ROOMS if room != "__main__"]
