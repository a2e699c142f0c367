"""The sections of the HTML report, in the order of the data flow: one function each, and one template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fruitaudit.records.evaluation import SplitEvaluation
from fruitaudit.records.states import NotRun
from fruitaudit.report import charts
from fruitaudit.report import diagnosis as causes
from fruitaudit.report.advice import advice
from fruitaudit.report.answer import answer, by_importance, worst_classes
from fruitaudit.report.comparison import anchor_of, first_panels
from fruitaudit.report.diagram import diagram
from fruitaudit.report.folder import Folder
from fruitaudit.report.gallery import keys_of, picture_css
from fruitaudit.report.inside import blocks
from fruitaudit.report.panels import OPEN, group_panels
from fruitaudit.report.sheet import contact_sheet, contrasts
from fruitaudit.report.table import prediction_table
from fruitaudit.report.trust import views
from fruitaudit.report.words import metric_order

TOP_FINDINGS = 3
THUMBNAILS = 8
"""Explained images shown beside a finding that speaks of their class."""


@dataclass(frozen=True)
class Section:
    """A section: `id` is its anchor, `template` lies in templates/sections."""

    id: str
    title: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)
    css: str = ""
    """Rules of its own for the head of the page."""


def summary(folder: Folder) -> Section:
    """Advice, the answer in one paragraph, headline figures, lab beside field, first findings, gates."""
    results = folder.results
    context = {
        "advice": advice(results),
        "answer": answer(results),
        "contrasts": contrasts(folder),
        "ranked": by_importance(results.evaluations),
        "top_findings": results.findings[:TOP_FINDINGS],
        "worst": worst_classes,
    }
    return Section("summary", "Executive summary", "summary.html", context)


def model(folder: Folder) -> Section:
    """What was audited: architecture, preprocessing, class order."""
    return Section("model", "Model", "model.html", {"diagram": diagram(folder.results.model)})


def data(folder: Folder) -> Section:
    """What it was audited on: splits, unusable files, a sample of every class."""
    return Section("data", "Data", "data.html", {"sheet": contact_sheet(folder)})


def evaluation(folder: Folder) -> Section:
    """Every figure of every split, side by side, then split by split."""
    ranked = by_importance(folder.results.evaluations)
    names = metric_order(name for e in ranked for name in e.metrics)
    has_field = any(e.role == "field" for e in ranked)
    table = prediction_table(folder.predictions, folder.results)
    context = {
        "ranked": ranked,
        "metric_names": names,
        "constructions": charts.constructions(ranked),
        "in_table": Counter((row.split, row.true, row.predicted) for row in table.rows),
        "opened": [e.split for e in ranked if e.role == "field" or not has_field],
        "charts": {e.split: _charts(e) for e in ranked},
    }
    return Section("evaluation", "Evaluation", "evaluation.html", context)


def predictions(folder: Folder) -> Section:
    """Image by image, what the model said."""
    table = prediction_table(folder.predictions, folder.results)
    context = {"table": table, "panels_of": first_panels(folder.results.groups)}
    return Section("predictions", "Predictions", "predictions.html", context)


def inside(folder: Folder) -> Section | None:
    """What the network has learned and what it computes, where a method was asked."""
    drawn_blocks, not_run = blocks(folder)
    if not drawn_blocks and not not_run:
        return None
    return Section("inside", "Inside the model", "inside.html", {"blocks": drawn_blocks, "not_run": not_run})


def explanations(folder: Folder) -> Section:
    """What in the images the model's answers depend on, by several methods."""
    context = {"panels": group_panels(folder), "open_images": OPEN}
    return Section("explanations", "Explanations", "explanations.html", context, picture_css(folder))


def trust(folder: Folder) -> Section | None:
    """Which methods may be read on this very model, and the tests that say so."""
    report = folder.results.trust
    return None if isinstance(report, NotRun) else Section("trust", "Trust", "trust.html", views(report))


def diagnosis(folder: Folder) -> Section | None:
    """What controlled experiments say of the causes, or why there were none."""
    record = folder.results.diagnosis
    context = {"not_made": record.reason} if isinstance(record, NotRun) else causes.context(folder, record)
    return Section("diagnosis", "Why it fails", "diagnosis.html", context)


def findings(folder: Folder) -> Section:
    """All findings with their evidence and remedies."""
    groups, group_links, thumbnails = folder.results.groups, {}, {}
    for i, f in enumerate(folder.results.findings):
        about = [g for g in groups if g.split == f.split and g.class_name in f.classes and g.sample_ids]
        group_links[i] = [(anchor_of(groups, g), g) for g in about]
        thumbnails[i] = keys_of(folder, f.sample_ids or [s for g in about for s in g.sample_ids])[:THUMBNAILS]
    context = {"group_links": group_links, "thumbnails": thumbnails}
    return Section("findings", "Findings", "findings.html", context)


def gates(folder: Folder) -> Section:
    """What was asked of the model, what was measured, and how many images would settle it."""
    return Section("gates", "Gates", "gates.html")


def provenance(folder: Folder) -> Section:
    """What is needed to repeat or to doubt this audit."""
    return Section("provenance", "Provenance", "provenance.html")


def glossary(folder: Folder) -> Section:
    """The terms used, for readers of another trade."""
    return Section("glossary", "Glossary", "glossary.html")


SECTIONS: tuple[Callable[[Folder], Section | None], ...] = (
    summary, model, data, evaluation, predictions, inside, explanations, trust, diagnosis, findings, gates, provenance,
    glossary,
)  # fmt: skip


def _charts(split: SplitEvaluation) -> dict[str, Any]:
    return {
        "roc": charts.curve_chart(split.roc, split, "auc"),
        "precision_recall": charts.curve_chart(split.precision_recall, split, "average_precision"),
        "confusion": charts.confusion(split),
        "most_in_bin": max((b.n for b in split.reliability), default=0) or 1,
    }
