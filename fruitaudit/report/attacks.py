"""Accuracy against the strength of an attack, on an axis where every strength tried has the same distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.records.attacks import AttackCurve, Turn, Turned, TurnNotFound
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.numbers import count
from fruitaudit.records.states import Estimate
from fruitaudit.report.charts import LOUD, points
from fruitaudit.report.folder import Folder
from fruitaudit.report.words import NBSP, percent, significant


@dataclass(frozen=True)
class Line:
    """One attack: `points` of an SVG polyline, and what half of the right answers cost."""

    name: str
    style: str
    points: str
    summary: str


@dataclass(frozen=True)
class AttackChart:
    """All attacks of one norm on one split. `ticks` are (place 0..1, strength)."""

    title: str
    axis: str
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]


KINDS = {"Linf": "every value changed a little (Linf)", "L2": "a change of small length (L2)"}
AXES = {"Linf": "largest change of any value, of the range from black to white",
        "L2": "length of the change, each value from 0 to 1"}  # fmt: skip


def attack_charts(attacks: Sequence[AttackCurve]) -> list[AttackChart]:
    """One chart per split and norm."""
    kinds = dict.fromkeys((attack.split, attack.norm) for attack in attacks)
    return [_chart(split, norm, [a for a in attacks if (a.split, a.norm) == (split, norm)]) for split, norm in kinds]


def _chart(split: str, norm: str, attacks: Sequence[AttackCurve]) -> AttackChart:
    tried = sorted({e for attack in attacks for e in attack.epsilon})
    place = {e: i / max(1, len(tried) - 1) for i, e in enumerate(tried)}
    lines = [
        Line(
            a.attack,
            f"loud-{i % LOUD + 1}",
            points([place[e] for e in a.epsilon], [q.value for q in a.accuracy]),
            _summary(a, norm),
        )
        for i, a in enumerate(attacks)
    ]
    n = attacks[0].accuracy[0].n if attacks[0].accuracy else 0
    ticks = tuple((x, strength(e, norm)) for e, x in place.items())
    return AttackChart(f"{split}, {count(n, 'image')}: {KINDS[norm]}", AXES[norm], ticks, tuple(lines))


def strength(epsilon: float, norm: str) -> str:
    """4 / 255 as `4/255` for the largest change; a length as it is."""
    steps = 255 * epsilon
    whole_steps = norm == "Linf" and abs(steps - round(steps)) < 0.01 and epsilon > 0
    return f"{round(steps)}/255" if whole_steps else significant(epsilon)


def _summary(attack: AttackCurve, norm: str) -> str:
    half = attack.median_epsilon
    if not isinstance(half, Estimate):
        return half.reason
    if not attack.accuracy:
        return ""
    clean = percent(attack.accuracy[0].value)
    weakest = strength(attack.epsilon[0], norm)
    return f"{clean} right at strength {weakest}; half of that is lost by {strength(half.value, norm)}"


SIDE = 220
"""Pictures of turned images, in pixels."""


@dataclass(frozen=True)
class DrawnTurn:
    """One picture of a turned image and what is said beneath it; `src` is None where the file is missing."""

    title: str
    src: str | None
    answer: str
    right: bool
    norms: str
    reason: str = ""


@dataclass(frozen=True)
class TurnedRow:
    """One image as it is, and under each of the smallest changes that turn its answer."""

    turned: Turned
    cells: tuple[DrawnTurn, ...]


def turned_rows(folder: Folder, diagnosis: Diagnosis) -> list[TurnedRow]:
    """Every image that was attacked beside its pertinent negatives."""
    return [
        TurnedRow(
            turned, (_unchanged_picture(folder, turned), *(_turned_picture(folder, turned, way) for way in turned.ways))
        )
        for turned in diagnosis.turned
    ]


def _unchanged_picture(folder: Folder, turned: Turned) -> DrawnTurn:
    return DrawnTurn(
        "As it is", folder.photograph(turned.picture, SIDE), turned.answer, turned.answer == turned.true_class, ""
    )


def _turned_picture(folder: Folder, turned: Turned, way: Turn | TurnNotFound) -> DrawnTurn:
    if isinstance(way, TurnNotFound):
        return DrawnTurn(way.by, None, "", False, "", way.reason.reason)
    total = f"{way.l1:,.0f}" if way.l1 >= 100 else significant(way.l1)
    norms = f"L1{NBSP}{total}, L2{NBSP}{significant(way.l2)}, Linf{NBSP}{255 * way.linf:.1f}/255"
    return DrawnTurn(way.by, folder.photograph(way.picture, SIDE), way.answer, way.answer == turned.true_class, norms)
