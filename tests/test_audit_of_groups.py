"""A whole audit of a manifest that says which images show one object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fruitaudit.commands.progress import Quiet
from fruitaudit.config.load import load_config
from fruitaudit.pipeline import audit
from fruitaudit.records.results import Results
from fruitaudit.records.states import Estimate
from fruitaudit.report.artefacts import load_results


def audited(digits: Path, out: Path, group_of: Callable[[int], int]) -> Results:
    """The digits' field split, with the group of every image; a gate on the lower end of its accuracy."""
    pictures = sorted((digits / "field").rglob("*.png"))
    lines = [f"{path},{path.parent.name},{group_of(i)}" for i, path in enumerate(pictures)]
    manifest = out.parent / f"{out.name}.csv"
    manifest.write_text("\n".join(["path,label,group_id", *lines]))
    overrides = [f"splits=[{{name: field, path: {manifest}, role: field}}]", "methods=[]", "trust=off", "diagnosis=off",
                 'gates=[{gate: "accuracy[field] >= 0.01", on: lower}]']  # fmt: skip
    config = load_config(digits / "fruitaudit.yaml", overrides=overrides, out=out).config
    return audit(config, Quiet(), "fruitaudit evaluate")[0]


def test_groups_of_the_manifest_reach_figures_gates_and_files(digits: Path, tmp_path: Path) -> None:
    results = audited(digits, tmp_path / "grouped", lambda i: i // 4)
    accuracy = results.evaluations[0].metrics["accuracy"]
    assert isinstance(accuracy, Estimate)
    assert accuracy.n_groups is not None
    assert accuracy.n_groups >= 90
    assert accuracy.design_effect == pytest.approx(accuracy.n / (accuracy.n_effective or 0))
    assert results.gates[0].state == "pass"
    named = pd.read_parquet(tmp_path / "grouped" / "predictions.parquet")["group_id"]
    assert named.nunique() == accuracy.n_groups
    assert "design effect" in (tmp_path / "grouped" / "report.html").read_text()
    assert load_results(tmp_path / "grouped").evaluations[0].metrics["accuracy"] == accuracy


def test_a_gate_on_an_end_of_the_interval_is_not_run_under_five_groups(digits: Path, tmp_path: Path) -> None:
    results = audited(digits, tmp_path / "few", lambda i: i % 4)
    accuracy = results.evaluations[0].metrics["accuracy"]
    assert isinstance(accuracy, Estimate)
    assert (accuracy.low, accuracy.n_groups) == (None, 4)
    assert results.gates[0].state == "not_run"
    assert "4 groups (group_id)" in results.gates[0].sentence
    assert results.verdict.exit_code == 3
