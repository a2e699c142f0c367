"""`SECURITY.md` claims nothing that no test shows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_it_names_is_there() -> None:
    claims = re.findall(r"((?:`test_\w+`(?:, )?)+) in\s+`(tests/[\w/]+\.py)`", PAGE)
    assert len(claims) > 20
    for names, file in claims:
        text = (ROOT / file).read_text(encoding="utf-8")
        for name in re.findall(r"\w+", names):
            assert f"def {name}(" in text, (name, file)
    assert sum(names.count("`test_") for names, _ in claims) == PAGE.count("`test_")


def test_every_claim_of_a_table_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert rows
    for row in rows:
        assert "`test_" in row or row.endswith("| see above |"), row
