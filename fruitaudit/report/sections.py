"""The sections of the HTML report, in the order of the data flow: one function each, and one template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fruitaudit.records.evaluation import SplitEvaluation
from fruitaudit.records.states import Estimate
from fruitaudit.report import charts
from fruitaudit.report.answer import answer, by_importance, worst_classes
from fruitaudit.report.diagram import diagram
from fruitaudit.report.folder import Folder
from fruitaudit.report.panels import OPEN, group_panels
from fruitaudit.report.table import prediction_table
from fruitaudit.report.words import metric_order

THUMBNAIL_SIDE = 88
SHEET_BUDGET = 400
"""Thumbnails on the contact sheet; of more the classes with the lowest recall are shown."""
TOP_FINDINGS = 3


@dataclass(frozen=True)
class Section:
    """A section: `id` is its anchor, `template` lies in templates/sections."""

    id: str
    title: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)


def summary(folder: Folder) -> Section:
    """Verdict, the answer in one paragraph, headline figures, first findings, gates."""
    results = folder.results
    context = {
        "answer": answer(results),
        "headline": by_importance(results.evaluations),
        "top_findings": results.findings[:TOP_FINDINGS],
        "worst": worst_classes,
    }
    return Section("summary", "Executive summary", "summary.html", context)


def model(folder: Folder) -> Section:
    """What was audited: architecture, preprocessing, class order."""
    return Section("model", "Model", "model.html", {"diagram": diagram(folder.results.model)})


def data(folder: Folder) -> Section:
    """What it was audited on: splits, unusable files, a sample of every class."""
    sheet, left_out = _sheet(folder)
    context = {"sheet": sheet, "sheet_left_out": left_out, "sheet_splits": _sheet_splits(folder)}
    return Section("data", "Data", "data.html", context)


def evaluation(folder: Folder) -> Section:
    """Every figure of every split, side by side, then split by split."""
    ranked = by_importance(folder.results.evaluations)
    names = metric_order(name for e in ranked for name in e.metrics)
    has_field = any(e.role == "field" for e in ranked)
    context = {
        "ranked": ranked,
        "metric_names": names,
        "opened": [e.split for e in ranked if e.role == "field" or not has_field],
        "charts": {e.split: _charts(e) for e in ranked},
    }
    return Section("evaluation", "Evaluation", "evaluation.html", context)


def predictions(folder: Folder) -> Section:
    """Image by image, what the model said."""
    table = prediction_table(folder.predictions, folder.results)
    return Section("predictions", "Predictions", "predictions.html", {"table": table})


def explanations(folder: Folder) -> Section:
    """What in the images the model's answers depend on, by several methods."""
    context = {"panels": group_panels(folder), "open_images": OPEN}
    return Section("explanations", "Explanations", "explanations.html", context)


def findings(folder: Folder) -> Section:
    """All findings with their evidence and remedies."""
    pictures = {i: p for i, p in folder.pictures.items() if any(i in f.sample_ids for f in folder.results.findings)}
    shown = {i: (p, folder.photograph(p.original or p.seen, 2 * THUMBNAIL_SIDE)) for i, p in pictures.items()}
    return Section("findings", "Findings", "findings.html", {"shown": shown})


def gates(folder: Folder) -> Section:
    """What was asked of the model, what was measured, and how many images would settle it."""
    return Section("gates", "Gates", "gates.html")


def provenance(folder: Folder) -> Section:
    """What is needed to repeat or to doubt this audit."""
    return Section("provenance", "Provenance", "provenance.html")


def glossary(folder: Folder) -> Section:
    """The terms used, for readers of another trade."""
    return Section("glossary", "Glossary", "glossary.html")


SECTIONS: tuple[Callable[[Folder], Section], ...] = (
    summary, model, data, evaluation, predictions, explanations, findings, gates, provenance, glossary,
)  # fmt: skip


def _charts(split: SplitEvaluation) -> dict[str, Any]:
    return {
        "roc": charts.curve_chart(split.roc, split, "auc"),
        "precision_recall": charts.curve_chart(split.precision_recall, split, "average_precision"),
        "confusion": charts.confusion(split),
        "most_in_bin": max((b.n for b in split.reliability), default=0) or 1,
    }


def _sheet_splits(folder: Folder) -> list[str]:
    return list(dict.fromkeys(row.split for row in folder.results.contact_sheet))


def _sheet(folder: Folder) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """(class, split -> row with pictures) of every class, or of the worst ones within the budget."""
    rows = folder.results.contact_sheet
    names = list(dict.fromkeys(row.class_name for row in rows))
    largest = max((sum(len(r.thumbnails) for r in rows if r.class_name == n) for n in names), default=0) or 1
    kept = set(sorted(names, key=_recalls(folder))[: max(1, SHEET_BUDGET // largest)])
    sheet = []
    for name in (n for n in names if n in kept):
        mine = {row.split: row for row in rows if row.class_name == name}
        drawn = {
            split: (row, [folder.photograph(file, THUMBNAIL_SIDE) for file in row.thumbnails])
            for split, row in mine.items()
        }
        sheet.append((name, drawn))
    return sheet, len(names) - len(sheet)


def _recalls(folder: Folder) -> Callable[[str], float]:
    ranked = by_importance(folder.results.evaluations)
    found = {row.name: row.recall for e in ranked[:1] for row in e.classes}

    def recall(name: str) -> float:
        quantity = found.get(name)
        return quantity.value if isinstance(quantity, Estimate) else 2.0

    return recall
