"""The summary a person reads in the terminal when the audit is done."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fruitaudit.records.numbers import count
from fruitaudit.records.results import Results, RunInfo
from fruitaudit.records.states import Estimate, Quantity
from fruitaudit.report.advice import advice
from fruitaudit.report.answer import by_importance, gate_word, worst_classes
from fruitaudit.report.words import cost, denominator, interval, percent
from fruitaudit.runtime.text import harmless

_COLOURS = {"bad": "red", "open": "cyan", "warn": "yellow", "good": "green",
            "Pass": "green", "Fail": "red", "Not computed": "yellow", "Warning": "yellow",
            "critical": "red", "warning": "yellow", "note": "cyan"}  # fmt: skip
FINDINGS = 5
"""Findings printed; the report has all of them."""


def print_summary(console: Console, results: Results, run: RunInfo, report_path: Path) -> None:
    """Accuracy per split, worst classes, findings, gates, advice, and where the report is. Fits 80 columns."""
    _heading(console, results.title)
    console.print(_accuracies(results))
    for evaluation in by_importance(results.evaluations)[:1]:
        worst = ", ".join(f"{row.name} {row.hits}/{row.support}" for row in worst_classes(evaluation, 5))
        console.print(Padding(Text(f"Lowest recall on {harmless(evaluation.split)}: {harmless(worst)}"), (0, 0, 0, 2)))
    _bad_files(console, results)
    if results.findings:
        _heading(console, "Findings")
        for finding in results.findings[:FINDINGS]:
            console.print(_item(finding.severity, finding.sentence))
        if len(results.findings) > FINDINGS:
            console.print(f"  and {len(results.findings) - FINDINGS} more in the report")
    if results.gates:
        _heading(console, "Gates")
        for gate in results.gates:
            console.print(_item(gate_word(gate), f"{gate.gate}: {gate.sentence}"))
    console.print()
    advised = advice(results)
    console.print(Text(advised.headline.upper(), style=f"bold {_COLOURS[advised.tone]}"))
    for word, text in (("gates", advised.gates), ("findings", advised.findings)):
        console.print(_item(word, text))
    console.print(Text(cost(run)))
    # One unbroken line, so that it can be copied and clicked.
    console.print(Text(f"Report: {report_path}"), soft_wrap=True)


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(harmless(text), style="bold"))


def _item(word: str, text: str) -> Padding:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=12, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(word, style=_COLOURS.get(word, "dim")), Text(harmless(text)))
    return Padding(grid, (0, 0, 0, 2))


def _accuracies(results: Results) -> Padding:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("split", overflow="fold")
    for name in ("accuracy", "right", "95 % interval", "guessing"):
        table.add_column(name, justify="right", no_wrap=True)
    for evaluation in by_importance(results.evaluations):
        accuracy, guess = (evaluation.metrics.get(k) for k in ("accuracy", "no_information_rate"))
        split = Text(harmless(f"{evaluation.split} ({evaluation.role})"))
        table.add_row(split, *_cells(accuracy), percent(guess.value) if isinstance(guess, Estimate) else "")
    return Padding(table, (0, 0, 0, 2))


def _cells(accuracy: Quantity | None) -> tuple[str, str, str]:
    if not isinstance(accuracy, Estimate):
        return ("not computed", "", "")
    return (percent(accuracy.value), denominator(accuracy), interval(accuracy, share=True))


def _bad_files(console: Console, results: Results) -> None:
    for split in results.splits:
        if split.left_out:
            names = ", ".join(f"{label} ({n})" for label, n in split.left_out.items())
            text = f"{count(sum(split.left_out.values()), 'image')} of {split.name} left out by class_map: {names}"
            console.print(Padding(Text(harmless(text), style="yellow"), (0, 0, 0, 2)))
        if split.bad:
            names = ", ".join(file.name for file in split.bad[:3])
            text = f"{len(split.bad)} of {count(split.n_found, 'file')} of {split.name} could not be used: {names}"
            more = ", ..." if len(split.bad) > 3 else ""
            console.print(Padding(Text(harmless(text) + more, style="yellow"), (0, 0, 0, 2)))
