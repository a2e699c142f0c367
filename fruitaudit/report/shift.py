"""How two splits differ: standardized effects on one axis, and the pictures by which a classifier tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.records.data_checks import FeatureShift, Shift
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.report.folder import Folder
from fruitaudit.report.words import significant

FIRST_DOTS = 6
"""Properties shown at first."""
FARTHEST = 6.0
"""Where the axis ends at the latest: what lies beyond is drawn as an arrow at its edge, and does not stretch it."""
ROW = 38
THUMBNAIL = 88


@dataclass(frozen=True)
class Dot:
    """One property: its effect and interval on the axis, in percent of its width, and the medians in words."""

    name: str
    unit: str
    medians: str
    text: str
    value: float
    at: str
    low: str | None
    high: str | None
    beyond: bool


@dataclass(frozen=True)
class ShiftPlot:
    """Properties of one pair of splits, the most different first: `visible` at once, `folded` on request.

    `missing` has (property, why not).
    """

    lab_split: str
    field_split: str
    visible: tuple[Dot, ...]
    folded: tuple[Dot, ...]
    ticks: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]


def shift_plots(shifts: Sequence[Shift]) -> list[ShiftPlot]:
    """One plot per field split."""
    pairs = dict.fromkeys((shift.lab_split, shift.field_split) for shift in shifts)
    return [_plot(*pair, [s for s in shifts if (s.lab_split, s.field_split) == pair]) for pair in pairs]


def _plot(lab: str, field: str, shifts: Sequence[Shift]) -> ShiftPlot:
    measured = [(s, s.effect) for s in shifts if isinstance(s.effect, Estimate)]
    measured.sort(key=lambda pair: -abs(pair[1].value))
    ends = [abs(v) for _, e in measured if abs(e.value) <= FARTHEST for v in (e.value, e.low, e.high) if v is not None]
    end = min(FARTHEST, max([1.0, *ends]))
    dots = tuple(_dot(shift, effect, end) for shift, effect in measured)
    step = 0.5 if end <= 1.5 else 1 if end <= 3 else 2
    marks = [k * step for k in range(-int(end / step), int(end / step) + 1)]
    ticks = tuple((_at(mark, end), significant(mark)) for mark in marks)
    missing = tuple((s.property, s.effect.reason) for s in shifts if isinstance(s.effect, NotRun))
    return ShiftPlot(lab, field, dots[:FIRST_DOTS], dots[FIRST_DOTS:], ticks, missing)


def _at(value: float, end: float) -> str:
    return f"{50 + 50 * max(-1.0, min(1.0, value / end)):.2f}%"


def _dot(shift: Shift, effect: Estimate, end: float) -> Dot:
    lab_median, field_median = ("none" if v is None else significant(v) for v in (shift.lab, shift.field))
    return Dot(
        name=shift.property.capitalize(),
        unit=shift.unit,
        medians=f"{lab_median} \u2192 {field_median}",
        text=f"{effect.value:+.1f}".replace("-", "\u2212"),
        value=effect.value,
        at=_at(effect.value, end),
        low=None if effect.low is None else _at(effect.low, end),
        high=None if effect.high is None else _at(effect.high, end),
        beyond=abs(effect.value) > end,
    )


@dataclass(frozen=True)
class SplitClassifier:
    """A two-sample classifier: `sentence`, and (sample id, picture or None) of the images it is surest of, by split."""

    shift: FeatureShift
    sentence: str
    sides: tuple[tuple[str, tuple[tuple[str, str | None], ...]], ...]


def split_classifiers(folder: Folder, diagnosis: Diagnosis) -> list[SplitClassifier]:
    """How well the splits can be told apart in the model's own features, and by which images."""
    return [SplitClassifier(shift, _sentence(shift), _sides(folder, shift)) for shift in diagnosis.feature_shifts]


def _sides(folder: Folder, shift: FeatureShift) -> tuple[tuple[str, tuple[tuple[str, str | None], ...]], ...]:
    pairs = ((shift.lab_split, shift.most_lab), (shift.field_split, shift.most_field))
    return tuple((split, tuple((i, thumbnail(folder, i)) for i in ids)) for split, ids in pairs if ids)


def _sentence(shift: FeatureShift) -> str:
    splits = f"{shift.lab_split} and {shift.field_split}"
    auc = shift.auc
    if isinstance(auc, NotRun):
        return f"Whether {splits} can be told apart in the model's own features was not computed: {auc.reason}."
    level = next(words for limit, words in _LEVELS if auc.value >= limit)
    spread = "" if auc.low is None or auc.high is None else f", 95 % interval {auc.low:.2f} to {min(1.0, auc.high):.2f}"
    return (f"In the model's own features {splits} {level}: AUC {auc.value:.2f}{spread} ({auc.n:,} images; 0.5 is not "
            "at all, 1 is always).")  # fmt: skip


_LEVELS = (
    (0.995, "can be told apart nearly always"),
    (0.8, "can mostly be told apart"),
    (0.6, "can often be told apart"),
    (0.0, "can hardly be told apart"),
)


def thumbnail(folder: Folder, sample_id: str) -> str | None:
    """The sample's picture as a data URI, where the report has one anyway."""
    if sample_id in folder.pictures:
        picture = folder.pictures[sample_id]
        return folder.photograph(picture.original or picture.seen, THUMBNAIL)
    for row in folder.results.contact_sheet:
        if sample_id in row.sample_ids:
            return folder.photograph(row.thumbnails[row.sample_ids.index(sample_id)], THUMBNAIL)
    return None
