"""Codes, not sentences, carry meaning: no decision is taken by the words of a text that people read."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

import fruitaudit
from fruitaudit.records.states import NotRunCode

PACKAGE = Path(fruitaudit.__file__).parent
PROSE = {
    "reason", "sentence", "note", "notes", "cost", "caveat", "remedy", "question", "fault", "evidence", "text", "said",
}  # fmt: skip
"""Names of attributes that hold sentences."""
SEARCHES = {
    "startswith", "endswith", "partition", "rpartition", "split", "find", "index", "removeprefix", "removesuffix",
}  # fmt: skip


def is_prose(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in PROSE


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def decisions_on_prose(source: str) -> list[str]:
    """The expressions that search a sentence, or compare one with a text."""
    decisions = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in SEARCHES and is_prose(node.func.value):
                decisions.append(ast.unparse(node))
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for one, operator, other in zip(sides, node.ops, sides[1:], strict=False):
                words = is_text(one) if isinstance(operator, ast.In | ast.NotIn) else is_text(one) or is_text(other)
                empty = any(isinstance(side, ast.Constant) and side.value == "" for side in (one, other))
                if words and not empty and (is_prose(one) or is_prose(other)):
                    decisions.append(ast.unparse(node))
    return decisions


@pytest.mark.parametrize(
    "source",
    ["x.reason.startswith('the field')", "a, _, b = listing.sentence.partition(' in ')", "m.cost.split()[0] == 'a'",
     "'no mask' in row.reason", "row.note == 'exact'", "f'{x}' in finding.sentence", "'a' != x.caveat"],
)  # fmt: skip
def test_decisions_on_prose_are_seen(source: str) -> None:
    assert decisions_on_prose(source)


@pytest.mark.parametrize("source", ["x.reason == ''", "x.code == 'off'", "name.startswith('top')", "y(x.sentence)"])
def test_what_is_no_decision_on_prose_passes(source: str) -> None:
    assert not decisions_on_prose(source)


def test_no_decision_is_taken_by_the_words_of_a_sentence() -> None:
    decisions = {
        f"{path.relative_to(PACKAGE)}: {decision}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for decision in decisions_on_prose(path.read_text())
    }
    assert not decisions, decisions


def test_every_code_is_given_somewhere() -> None:
    """A code that nothing gives is one that nobody can rely on."""
    texts = {
        node.value
        for path in PACKAGE.rglob("*.py")
        if path.name != "states.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(get_args(NotRunCode)) - texts <= {"not_computed"}
