"""Geometry of the charts: numbers 0..1 to coordinates, and which curves are drawn loud. The templates draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.records.evaluation import Curve, SplitEvaluation
from fruitaudit.records.states import Estimate
from fruitaudit.report.words import metric_label, metric_order

PLOT = 220
"""Side of the plotting area of a square chart, in SVG units."""
LOUD = 4
MOST_CURVES = 40
OF_A_CLASS = {"recall": "recall", "precision": "precision", "f1": "F1", "auc": "AUC",
              "average_precision": "average precision"}  # fmt: skip
AVERAGES = ("micro", "macro", "weighted")


def points(x: Sequence[float], y: Sequence[float], width: float = PLOT, height: float = PLOT) -> str:
    """SVG polyline points of a curve in the unit square, y upwards."""
    return " ".join(f"{a * width:.1f},{(1 - b) * height:.1f}" for a, b in zip(x, y, strict=True))


@dataclass(frozen=True)
class Series:
    """A curve as it is drawn: `style` is "average", "average dashed", "loud-1".."loud-4" or "quiet"."""

    curve: Curve
    style: str
    label: str


@dataclass(frozen=True)
class CurveChart:
    """Curves of one chart, quiet ones first so that loud ones lie on top. `left_out` curves are not drawn."""

    series: tuple[Series, ...]
    left_out: int

    @property
    def legend(self) -> tuple[Series, ...]:
        """Averages, then the loud classes."""
        return tuple(reversed([s for s in self.series if s.style != "quiet"]))

    @property
    def n_quiet(self) -> int:
        """How many curves are drawn thin and grey."""
        return sum(s.style == "quiet" for s in self.series)


def curve_chart(curves: Sequence[Curve], evaluation: SplitEvaluation, area: str) -> CurveChart:
    """The averages and the `LOUD` worst classes loud, the others quiet, at most MOST_CURVES in all.

    `area` names the field of `ClassRow` that ranks the classes: "auc" or "average_precision".
    """
    areas = {row.name: getattr(row, area) for row in evaluation.classes}
    values = {name: q.value for name, q in areas.items() if isinstance(q, Estimate)}
    names = set(areas)
    averages = [c for c in curves if c.name not in names]
    classes = sorted((c for c in curves if c.name in names), key=lambda c: values.get(c.name, 2.0))
    selected = classes[:MOST_CURVES]

    def label(curve: Curve) -> str:
        value = values.get(curve.name)
        if curve.name not in names:
            return f"{curve.name} average" if curve.name in AVERAGES else curve.name
        return curve.name if value is None else f"{curve.name} ({value:.2f})"

    series = [Series(c, "average" if c.name == "micro" else "average dashed", label(c)) for c in averages]
    series += [Series(c, f"loud-{i + 1}" if i < LOUD else "quiet", label(c)) for i, c in enumerate(selected)]
    return CurveChart(tuple(reversed(series)), len(classes) - len(selected))


@dataclass(frozen=True)
class ConfusionCell:
    """One cell of the confusion matrix: `share` of the row's images, `strength` 0..1 of its colour."""

    n: int
    share: float
    diagonal: bool


@dataclass(frozen=True)
class Confusion:
    """The matrix, or the part of it with most errors. `left_out` classes are not shown."""

    names: tuple[str, ...]
    rows: tuple[tuple[ConfusionCell, ...], ...]
    totals: tuple[int, ...]
    left_out: int


MOST_CLASSES = 40


def confusion(evaluation: SplitEvaluation) -> Confusion:
    """The confusion matrix of a split; of many classes the `MOST_CLASSES` with most errors, in the model's order."""
    counts = evaluation.confusion
    size = range(len(counts))
    errors = {i: sum(counts[i]) + sum(counts[j][i] for j in size) - 2 * counts[i][i] for i in size}
    selected = sorted(sorted(size, key=lambda i: -errors[i])[:MOST_CLASSES])
    totals = {i: sum(counts[i]) for i in selected}
    return Confusion(
        names=tuple(evaluation.classes[i].name for i in selected),
        rows=tuple(
            tuple(ConfusionCell(counts[i][j], counts[i][j] / totals[i] if totals[i] else 0.0, i == j) for j in selected)
            for i in selected
        ),
        totals=tuple(totals.values()),
        left_out=len(counts) - len(selected),
    )


def constructions(evaluations: Sequence[SplitEvaluation]) -> list[tuple[str, list[str]]]:
    """(how an interval was made, the metrics whose intervals were), for the reader who asks."""
    labels_of: dict[str, dict[str, None]] = {}
    for evaluation in evaluations:
        for name in metric_order(evaluation.metrics):
            quantity = evaluation.metrics[name]
            if isinstance(quantity, Estimate) and quantity.interval != "none":
                labels_of.setdefault(quantity.interval, {})[metric_label(name)] = None
    return [(how, list(labels)) for how, labels in labels_of.items()]


def gaps(evaluation: SplitEvaluation) -> list[tuple[str, str, list[str]]]:
    """(figure, why it is missing, classes): what a table cell has no room for."""
    names_of: dict[tuple[str, str], list[str]] = {}
    for row in evaluation.classes:
        for name, spoken in OF_A_CLASS.items():
            quantity = getattr(row, name)
            if not isinstance(quantity, Estimate):
                names_of.setdefault((spoken, quantity.reason), []).append(row.name)
    return [(spoken, reason, names) for (spoken, reason), names in names_of.items()]
