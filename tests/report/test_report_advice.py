"""No reader may take a model with a critical finding for a good one, whatever the gates say."""

import dataclasses

import pytest

from fruitaudit.records.judgement import Finding, Verdict
from fruitaudit.report.advice import advice
from fruitaudit.report.artefacts import load_results
from fruitaudit.report.render import render


def finding(severity: str) -> Finding:
    return Finding("slug", severity, "It fails.", (), "Mend it.")


@pytest.fixture
def make(folder):
    results = load_results(folder)

    def make(state: str, severities=(), gates=()):
        return dataclasses.replace(
            results,
            findings=tuple(map(finding, severities)),
            gates=tuple(gates),
            verdict=Verdict(state, 0, "Sentence of the verdict."),
        )

    return make


@pytest.mark.parametrize("state", ["pass", "fail", "not_run", "no_gates"])
def test_a_critical_finding_is_never_under_a_friendly_banner(make, state):
    advised = advice(make(state, ["critical", "note"]))
    assert (advised.tone, advised.headline) == ("bad", "Do not deploy as it is")
    assert advised.findings == "1 critical and 1 note"


@pytest.mark.parametrize(
    ("state", "severities", "tone"),
    [
        ("fail", [], "bad"),
        ("not_run", ["warning"], "open"),
        ("pass", ["warning", "warning"], "warn"),
        ("no_gates", ["warning"], "warn"),
        ("no_gates", ["note"], "open"),
        ("pass", ["note"], "good"),
        ("pass", [], "good"),
    ],
)
def test_the_worst_of_gates_and_findings_decides(make, state, severities, tone):
    assert advice(make(state, severities)).tone == tone


def test_gates_that_only_warn_are_no_verdict_and_still_count(make, folder):
    missed = load_results(folder).gates[1]
    assert (missed.severity, missed.state) == ("warn", "fail")
    advised = advice(make("pass", [], [missed, dataclasses.replace(missed, state="pass", gate="other > 0")]))
    assert advised.tone == "warn"
    assert advised.gates == f"No verdict: 2 gates set only to warn, 1 of them not met: {missed.gate}."
    met = advice(make("pass", [], [dataclasses.replace(missed, state="pass")]))
    assert (met.tone, met.gates) == ("good", "No verdict: 1 gate set only to warn, all of them met.")


def test_without_gates_the_banner_says_so(make):
    assert advice(make("no_gates")).gates == "No gate was set, so nothing was judged."
    assert advice(make("no_gates")).findings == "none"


def test_every_format_says_it_first(folder):
    render(folder)
    assert "Do not deploy as it is" in (folder / "summary.md").read_text().splitlines()[0]
    assert "Do not deploy as it is</title>" in (folder / "report.html").read_text()
