"""What the banner says: whether to use the model, from gates and findings together.

Gates alone make the verdict and the exit code. But a gate may only warn, or none may be set: then the verdict is no
failure, and a reader must still not take a model with a critical finding for a good one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.judgement import Finding
from fruitaudit.records.numbers import count
from fruitaudit.records.results import Results
from fruitaudit.report.answer import VERDICTS
from fruitaudit.report.words import sentence

Tone = Literal["bad", "open", "warn", "good"]
_PLURAL = {"critical": "critical", "warning": "warnings", "note": "notes"}


@dataclass(frozen=True)
class Advice:
    """`headline` in a few words and its colour; `gates` and `findings` say what it rests on, a sentence each."""

    tone: Tone
    headline: str
    gates: str
    findings: str
    gravest: Finding | None


def advice(results: Results) -> Advice:
    """The worst of what gates and findings say."""
    gravest = results.findings[0] if results.findings else None
    severity = gravest.severity if gravest else "note"
    missed = [gate for gate in results.gates if gate.state != "pass"]
    tone: Tone = "good"
    if results.verdict.state == "fail" or severity == "critical":
        tone, headline = "bad", "Do not deploy as it is"
    elif results.verdict.state == "not_run":
        tone, headline = "open", "Not decided"
    elif severity == "warning" or missed:
        tone, headline = "warn", "Settle the warnings first"
    elif results.verdict.state == "no_gates":
        tone, headline = "open", "Not judged"
    else:
        headline = "Passes what was asked"
    return Advice(tone, headline, _gates(results), _findings(results), gravest)


def _gates(results: Results) -> str:
    """`Fail: 1 of 2 gates failed.`; where no gate counts, how many of those that only warn are not met."""
    counting = [gate for gate in results.gates if gate.severity == "fail"]
    if counting:
        return f"{VERDICTS[results.verdict.state]}: {sentence(results.verdict.sentence)}"
    if not results.gates:
        return "No gate was set, so nothing was judged."
    missed = [gate.gate for gate in results.gates if gate.state != "pass"]
    which = f", {len(missed)} of them not met: {', '.join(missed)}" if missed else ", all of them met"
    return f"No verdict: {count(len(results.gates), 'gate')} set only to warn{which}."


def _findings(results: Results) -> str:
    """`2 critical, 1 warning and 3 notes`, or that there is none."""
    number = Counter(finding.severity for finding in results.findings)
    parts = [f"{number[s]} {s if number[s] == 1 else _PLURAL[s]}" for s in ("critical", "warning", "note") if number[s]]
    if not parts:
        return "none"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
