"""The trust section: what the tests of the explanations measured, as tables and small charts. Judges nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fruitaudit.records.numbers import count
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.records.trust import (
    ControlComparison,
    Localization,
    MethodTrust,
    MethodVerdict,
    Readability,
    TrustNotRun,
    TrustReport,
)
from fruitaudit.report.words import number, percent, tight
from fruitaudit.trust.rules import INVISIBLE_NOISE, ORDER, STEADY, WORDS

TESTS = {
    "deletion": ("Deletion", "hide the strongest pixels first: the probability should fall early"),
    "insertion": ("Insertion", "reveal the strongest pixels first: the probability should rise early"),
    "road": ("ROAD", "hidden pixels are filled in from those around them, so that the hole itself says little"),
    "mu_fidelity": ("Mu-fidelity", "evidence in a part of the image should foretell the loss without it"),
    "neighbours": ("Neighbours", "like images should have like maps"),
}
Get = Callable[[MethodTrust], Quantity]


@dataclass(frozen=True)
class TrustRow:
    """One method in a panel: `at`, `low`, `high` are places on the axis, 0..1; None where nothing was measured."""

    title: str
    reading: Readability
    at: float | None
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class TrustPanel:
    """One figure for every method. `zero` is the place of the line that counts, `against` what it stands for."""

    title: str
    says: str
    rows: tuple[TrustRow, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float
    against: str


@dataclass(frozen=True)
class RandomizationCurve:
    """Rank correlation per depth of destruction, as polyline and band in a box of 1 x 1, y down."""

    title: str
    reading: Readability
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...]
    noise: float | None
    """Height of the map's rank correlation under invisible noise."""
    text: str


@dataclass(frozen=True)
class TrustCell:
    """One pair of methods: `strength` 0..1 of its colour."""

    text: str
    strength: float


def views(report: TrustReport) -> dict[str, Any]:
    """What the template shows of the report, methods in the order of their verdicts."""
    verdicts = sorted(report.verdicts, key=lambda v: ORDER.index(v.reading))
    measured = {m.method: m for m in report.methods if isinstance(m, MethodTrust)}
    tested = [(measured[v.method], v) for v in verdicts]
    return {
        "trust": report,
        "badges": WORDS,
        "tested": tested,
        "untested": [m for m in report.methods if isinstance(m, TrustNotRun)],
        "curves": [curve for m, v in tested if (curve := _curve(m, v))],
        "labels": _labels(tested),
        "faithfulness": [_gains(name, *words, tested) for name, words in TESTS.items()],
        "changes": [_change(tested, *key) for key in _kinds(tested)],
        "chance": _chance(tested),
        "classes": _classes(tested),
        "edges": _edges(tested),
        "objects": _objects(tested),
        "reliance": _reliance(report, tested),
        "agreement": _agreement(report, {m.method: m.title for m, _ in tested}),
    }


TestedMethods = list[tuple[MethodTrust, MethodVerdict]]


def _panel(
    title: str, says: str, tested: TestedMethods, get: Get, ends: tuple[float, float], zero: float, against: str
) -> TrustPanel:
    """`ends` of the axis; where nothing lies below 0 it begins there."""
    quantities = [get(m) for m, _ in tested]
    low, high = ends
    if low == -1 and all(_least(q) >= 0 for q in quantities):
        low = 0.0
    ticks = tuple(((t - low) / (high - low), f"{t:g}".replace("-", "\u2212")) for t in (low, (low + high) / 2, high))
    rows = tuple(_row(m, v, q, low, high) for (m, v), q in zip(tested, quantities, strict=True))
    return TrustPanel(title, says, rows, ticks, (zero - low) / (high - low), against)


def _least(q: Quantity) -> float:
    if isinstance(q, NotRun):
        return 0.0
    return q.value if q.low is None else q.low


def _row(m: MethodTrust, v: MethodVerdict, q: Quantity, low: float, high: float) -> TrustRow:
    if isinstance(q, NotRun):
        return TrustRow(m.title, v.reading, None, None, None, q.reason)

    def place(value: float | None) -> float | None:
        return None if value is None else min(1.0, max(0.0, (value - low) / (high - low)))

    return TrustRow(m.title, v.reading, place(q.value), place(q.low), place(q.high), quantity_text(q))


def quantity_text(q: Quantity, *, share: bool = False) -> str:
    """`0.53 (0.52–0.54, 32 images)`, a share in percent, or the reason why there is no number."""
    return q.reason if isinstance(q, NotRun) else tight(q.short_text(share=share))


def _curve(m: MethodTrust, v: MethodVerdict) -> RandomizationCurve | None:
    """None where fewer than two depths could be compared."""
    if isinstance(m.randomization, NotRun):
        return None
    depths = [(len(d.layers), d.spearman) for d in m.randomization.cascading if isinstance(d.spearman, Estimate)]
    if len(depths) < 2:
        return None
    x = [n / m.randomization.n_layers for n, _ in depths]
    qs = [q for _, q in depths]
    lows, highs = ([q.value if end is None else end for q, end in zip(qs, ends, strict=True)]
                   for ends in ([q.low for q in qs], [q.high for q in qs]))  # fmt: skip
    upper, lower = ([(a, _height(b)) for a, b in zip(x, side, strict=True)] for side in (highs, lows))
    noise = next((c.spearman for c in m.changes if (c.kind, c.strength) == ("noise", INVISIBLE_NOISE)), None)
    first, last = number(qs[0].value), number(qs[-1].value)
    text = f"{m.title}: rank correlation {first} with the output layer drawn anew, {last} with all layers"
    return RandomizationCurve(
        m.title,
        v.reading,
        ((0.0, 0.0), *((a, _height(q.value)) for a, q in zip(x, qs, strict=True))),
        ((0.0, 0.0), *upper, *reversed(lower)),
        _height(noise.value) if isinstance(noise, Estimate) else None,
        text,
    )


def _height(correlation: float) -> float:
    """1 at the top, -1 at the bottom of a box of height 1."""
    return (1 - correlation) / 2


def _gains(test: str, title: str, says: str, tested: TestedMethods) -> TrustPanel:
    """Gain over the strongest control: the one that the method beats by least."""

    def least(m: MethodTrust) -> Quantity:
        comparison = m.faithfulness.get(test, NotRun("it was not run", "not_asked"))
        if not isinstance(comparison, ControlComparison):
            return comparison
        gains = [gain for gain in comparison.gains.values() if isinstance(gain, Estimate)]
        return min(gains, key=lambda g: g.value) if gains else NotRun("no control could be compared", "not_computed")

    measured = [q for m, _ in tested if isinstance(q := least(m), Estimate)]
    reach = max((abs(end) for q in measured for end in (q.value, q.low, q.high) if end is not None), default=1.0)
    reach = max(1, math.ceil(4 * reach)) / 4
    return _panel(title, says, tested, least, (-reach, reach), 0, "as good as the best map that knows nothing")


def _kinds(tested: TestedMethods) -> list[tuple[str, float]]:
    return list(dict.fromkeys((c.kind, c.strength) for m, _ in tested for c in m.changes))


def _change(tested: TestedMethods, kind: str, strength: float) -> TrustPanel:
    def get(m: MethodTrust) -> Quantity:
        not_tried = NotRun("not tried with this method", "not_asked")
        return next((c.spearman for c in m.changes if (c.kind, c.strength) == (kind, strength)), not_tried)

    title = {"noise": f"Noise of {percent(strength, 0)} of the range", "shift": "Shifted by one pixel",
             "jpeg": f"JPEG, quality {strength:.0f}"}[kind]  # fmt: skip
    return _panel(
        title, "likeness of the maps before and after", tested, get, (-1, 1), STEADY, "the map flips below this"
    )


def _labels(tested: TestedMethods) -> list[TrustPanel]:
    """Only where a copy was trained on shuffled labels."""
    if not any(isinstance(m.label_randomization, Estimate) for m, _ in tested):
        return []
    says = "likeness to the maps of a copy that learned shuffled labels"
    return [_panel("Shuffled labels", says, tested, lambda m: m.label_randomization, (-1, 1), 0, "nothing in common")]


def _chance(tested: TestedMethods) -> list[TrustPanel]:
    return [_panel("Another seed", "likeness of the maps of two runs", tested, lambda m: m.seeds, (-1, 1), STEADY,
                   "chance decides below this")]  # fmt: skip


def _classes(tested: TestedMethods) -> list[TrustPanel]:
    def own_tile(m: MethodTrust) -> Quantity:
        return m.grid_pointing.own if isinstance(m.grid_pointing, ControlComparison) else m.grid_pointing

    return [
        _panel("Another class", "likeness of the maps of two classes; lower is better", tested, lambda m: m.other_class,
               (-1, 1), 0, "maps of two classes have nothing in common"),
        _panel("Mosaics of four images", "share of the evidence in the quarter of the class", tested, own_tile, (0, 1),
               0.25, "chance"),
    ]  # fmt: skip


def _edges(tested: TestedMethods) -> list[TrustPanel]:
    def trained(m: MethodTrust) -> Quantity:
        return m.edges if isinstance(m.edges, NotRun) else m.edges.trained

    def reinitialised(m: MethodTrust) -> Quantity:
        return m.edges if isinstance(m.edges, NotRun) else m.edges.redrawn

    says, against = "likeness of the maps to the edges of the image", "nothing in common"
    return [
        _panel("Of the trained network", says, tested, trained, (-1, 1), 0, against),
        _panel("Of a network that learned nothing", says, tested, reinitialised, (-1, 1), 0, against),
    ]


def _objects(tested: TestedMethods) -> list[TrustPanel]:
    """Where masks exist: share of the evidence on the object, and hits of the highest value."""
    if not any(not isinstance(m.localization, NotRun) for m, _ in tested):
        return []

    def inside(m: MethodTrust) -> Quantity:
        return m.localization if isinstance(m.localization, NotRun) else m.localization.inside.own

    def hits(m: MethodTrust) -> Quantity:
        return m.localization if isinstance(m.localization, NotRun) else m.localization.pointing.own

    sizes = [m.localization.object_share for m, _ in tested if not isinstance(m.localization, NotRun)]
    share = next((s.value for s in sizes if isinstance(s, Estimate)), 0.0)
    against = "the object's share of the image"
    return [
        _panel("On the object", "share of the evidence inside its mask", tested, inside, (0, 1), share, against),
        _panel("Highest value", "how often it lies inside the mask", tested, hits, (0, 1), share, against),
    ]


@dataclass(frozen=True)
class Table:
    """Evidence on the background: one row per group or class, one column per method."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, list[tuple[str, str]]]]
    """Name, and for each further column the figure and what belongs to it in small print."""


def _reliance(report: TrustReport, tested: TestedMethods) -> list[Table]:
    """Where masks exist: by group that is explained, and by class on the images of these tests."""
    columns = ("Background's share of the image", *(m.title for m, _ in tested))
    groups = []
    for g in report.groups:
        shares = (g.background_share, *(g.background.get(m.method) for m, _ in tested))
        groups.append((g.title, [_part(q, "not asked for") for q in shares]))
    located = [m.localization for m, _ in tested]
    classes = []
    for name in sorted({name for at in located if isinstance(at, Localization) for name in at.background}):
        of_class = (_share_of(name, located), *(_of_class(name, at) for at in located))
        classes.append((name, [_part(q, "no image of it") for q in of_class]))
    tables = (
        Table("By group of images that is explained", ("Group", *columns), groups),
        Table("By class, on the images of these tests", ("Class explained", *columns), classes),
    )
    return [table for table in tables if table.rows]


def _of_class(name: str, localization: Localization | NotRun) -> Quantity | None:
    return localization if isinstance(localization, NotRun) else localization.background.get(name)


def _share_of(name: str, located: list[Localization | NotRun]) -> Quantity | None:
    """Of the method that was tested on most images of the class."""
    shares = [at.background_share.get(name) for at in located if isinstance(at, Localization)]
    return max((q for q in shares if isinstance(q, Estimate)), key=lambda q: q.n, default=None)


def _part(q: Quantity | None, missing: str) -> tuple[str, str]:
    """A share, and its small print."""
    if not isinstance(q, Estimate):
        return ("–", missing) if q is None else ("not run", q.reason)
    details = filter(None, [q.interval_text(share=True), count(q.n, "image")])
    return number(q.value, share=True), tight(", ".join(details))


def _agreement(report: TrustReport, titles: dict[str, str]) -> list[tuple[str, list[TrustCell]]]:
    """(method, its row): empty for a single method."""
    table = report.agreement
    if len(table.methods) < 2:
        return []
    order = [table.methods.index(name) for name in titles]
    return [(titles[table.methods[i]], [_cell(table.spearman[i][j]) for j in order]) for i in order]


def _cell(q: Quantity) -> TrustCell:
    if isinstance(q, NotRun):
        return TrustCell("–", 0.0)
    return TrustCell(f"{q.value:.2f}".replace("-", "\u2212"), max(0.0, q.value))
