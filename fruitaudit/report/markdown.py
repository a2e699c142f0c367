"""`summary.md`: the audit as a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fruitaudit.records.judgement import Finding
from fruitaudit.records.results import Results
from fruitaudit.report.advice import advice
from fruitaudit.report.answer import answer, by_importance, gate_word, worst_classes
from fruitaudit.report.folder import Folder
from fruitaudit.report.words import quantity
from fruitaudit.runtime.text import harmless

_MARKS = {"Pass": "✅", "Fail": "❌", "Not computed": "❔", "Warning": "⚠️"}
_TONE_MARKS = {"good": "✅", "bad": "❌", "open": "❔", "warn": "⚠️"}
_SPECIAL = re.compile(r"([\\`*_\[\]|~])")
_LINKS = re.compile(r"(?<=[@#])(?=\w)|(?<=\w:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
"""Where a space without width keeps GitHub from making a link or a mention, which it does after entities are read."""
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;"})


def render_markdown(folder: Folder) -> str:
    """The summary in GitHub's Markdown; user text is escaped."""
    return "\n".join(_lines(folder.results)) + "\n"


def escape(text: str) -> str:
    """User text that Markdown and HTML leave as it is, on one line; it links to nothing and mentions nobody."""
    plain = _LINKS.sub("\u200b", harmless(" ".join(text.split()))).translate(_ENTITIES)
    return _SPECIAL.sub(r"\\\1", plain)


def _lines(results: Results) -> Iterator[str]:
    advised = advice(results)
    yield f"## {_TONE_MARKS[advised.tone]} {escape(results.title)}: {advised.headline}"
    yield ""
    yield f"- **Gates:** {escape(advised.gates)}"
    yield f"- **Findings:** {escape(advised.findings)}"
    yield ""
    yield escape(" ".join(answer(results)))
    yield ""
    yield from _splits(results)
    if results.gates:
        yield from ["", "| gate | verdict | measured |", "|---|---|---|"]
        for gate in results.gates:
            word = gate_word(gate)
            yield f"| {escape(gate.gate)} | {_MARKS[word]} {word} | {escape(gate.sentence)} |"
    if results.findings:
        yield from ["", "### Findings", ""]
        for finding in results.findings:
            yield _finding(finding)
    for split in results.splits:
        if split.left_out:
            names = ", ".join(f"{label} ({n})" for label, n in split.left_out.items())
            n = sum(split.left_out.values())
            yield from ["", f"{n} images of {escape(split.name)} left out by class\\_map: {escape(names)}"]
    bad = [(split.name, file) for split in results.splits for file in split.bad]
    if bad:
        yield from ["", f"<details><summary>{len(bad)} unusable files</summary>", ""]
        yield from (f"- {escape(split)}: {escape(file.name)}: {escape(file.reason)}" for split, file in bad[:50])
        yield from ["", "</details>"]
    model = results.model
    yield ""
    yield f"Model {escape(model.file)}, SHA-256 `{model.sha256[:12]}`; seed {results.seed}; fruitaudit " + escape(
        results.fruitaudit_version
    )


def _splits(results: Results) -> Iterator[str]:
    yield "| split | role | accuracy | lowest recall |"
    yield "|---|---|---|---|"
    for evaluation in by_importance(results.evaluations):
        worst = "; ".join(f"{row.name} {row.hits} of {row.support}" for row in worst_classes(evaluation))
        accuracy = evaluation.metrics.get("accuracy")
        text = quantity(accuracy, share=True) if accuracy else "not measured"
        yield f"| {escape(evaluation.split)} | {evaluation.role} | {escape(text)} | {escape(worst)} |"


def _finding(finding: Finding) -> str:
    return f"- **{finding.severity}**: {escape(finding.sentence)} *Remedy:* {escape(finding.remedy)}"
