"""Known causes, found or not: the first finding of each planted world, and silence in the clean ones."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from planted.cases import pictures, planted_cases
from planted.outcomes import Outcome, diagnose_case, table, twins_table
from planted.rendering import FACTORS, Pictures, small

pytestmark = pytest.mark.slow

CASES = {case.name: case for case in planted_cases()}
TWINS = [name for name in FACTORS if name != "unseen-variety"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return {name: diagnose_case(case, tmp_path_factory.mktemp("world")) for name, case in CASES.items()}


def test_the_first_finding_names_the_planted_fault(outcomes: dict[str, Outcome], capsys) -> None:
    planted = [outcome for outcome in outcomes.values() if outcome.case.expected]
    with capsys.disabled():
        print("\n" + table(outcomes))
    assert len(planted) == 17
    assert sum(outcome.passed for outcome in planted) >= 15


def test_a_clean_world_has_no_cause(outcomes: dict[str, Outcome]) -> None:
    clean = {name: outcome.causes for name, outcome in outcomes.items() if not outcome.case.expected}
    assert len(clean) == 5
    assert clean == {name: [] for name in clean}


def twins(factor: str) -> tuple[Pictures, Pictures]:
    base = (small,) if CASES[factor].model == "small" else ()
    return pictures("test", *base), pictures("test", *base, FACTORS[factor])


def test_twins_agree_with_the_estimated_effects(outcomes: dict[str, Outcome], capsys) -> None:
    """The same test scenes with the factor toggled by the renderer give its true effect."""
    text, misses = twins_table(outcomes, TWINS, twins)
    with capsys.disabled():
        print("\n" + text)
    assert not misses


def test_a_diagnosis_is_plain_json(outcomes: dict[str, Outcome]) -> None:
    text = json.dumps(asdict(outcomes["background"].diagnosis), allow_nan=False)
    assert json.loads(text)["findings"][0]["slug"] == "background"
