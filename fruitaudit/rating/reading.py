"""Ratings -> figures: what each method got, whether raters agree with themselves, each other, the controls, the tests.

Pictures are what is resampled, because the maps of one picture are rated together. All raters and repeats of a map are
averaged first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.rating.agreement import agreement
from fruitaudit.rating.answers import RaterAnswers
from fruitaudit.rating.choosing import RatingSheet
from fruitaudit.rating.evidence import Source
from fruitaudit.rating.verdict_comparison import Comparison, compare_with_tests
from fruitaudit.records.data import BoolArray, DoubleArray, IntArray
from fruitaudit.records.states import NotRun, Quantity
from fruitaudit.records.trust import Readability, TrustReport
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.small_samples import mean_over_images


@dataclass(frozen=True)
class SourceRating:
    """One method or control. `above_controls`: how often its map is rated above a control's of the same picture."""

    method: str
    title: str
    control: bool
    rating: Quantity
    above_controls: Quantity
    left_out: int
    """Pictures without its map, which was empty, too weak to be seen, or in a damaged file."""
    verdict: Readability | None
    """What the audit's own tests say; None where the method was not tested, and for controls."""


@dataclass(frozen=True)
class Rater:
    """One file. `rated + unsure + missing` are all maps of the sheet."""

    name: str
    rated: int
    unsure: int
    missing: int
    themselves: Quantity
    """Krippendorff's alpha between the first and the second time that the same map was shown."""
    above_controls: Quantity


@dataclass(frozen=True)
class Ratings:
    """All figures of the ratings of one sheet. `n` of each figure counts pictures."""

    sheet: str
    pictures: int
    maps: int
    sources: tuple[SourceRating, ...]
    raters: tuple[Rater, ...]
    each_other: Quantity
    """Krippendorff's alpha between raters, over all maps."""
    above_controls: dict[str, Quantity]
    """How often a method's map is rated above that of a control, by title, of the same picture; ties half, 0.5 is
    chance."""
    beside_tests: tuple[Comparison, ...]


@dataclass(frozen=True, eq=False)
class _Table:
    values: DoubleArray
    """(raters, maps), NaN where not rated."""
    pictures: IntArray
    """(maps,): of which picture."""
    sources: IntArray
    """(maps,): of which source."""
    control: BoolArray
    strata: IntArray
    """(pictures,): 1 where the model was wrong."""
    streams: Streams

    def means(self, source: int) -> DoubleArray:
        """(pictures,): the mean rating of a source's map; NaN where nobody rated it."""
        return np.array([_mean(self.values[:, self._of(i) & (self.sources == source)]) for i in self._all])

    def above(self, maps: BoolArray, controls: BoolArray, raters: slice = slice(None)) -> Quantity:
        """How often one of these maps is rated above a control's of the same picture, by the same rater."""
        values = self.values[raters]
        finite = values[np.isfinite(values)]
        if finite.size and np.ptp(finite) == 0:
            return NotRun("all ratings are the same, which tells nothing apart", "undefined")
        scores = [
            _mean(np.array([_share(row[self._of(i) & maps], row[self._of(i) & controls]) for row in values]))
            for i in self._all
        ]
        return self.over_pictures(np.array(scores), "no picture has both a rated map and a rated control")

    def over_pictures(self, scores: DoubleArray, otherwise: str) -> Quantity:
        """The mean of what is known, with its interval."""
        finite = scores[np.isfinite(scores)]
        return mean_over_images(finite, self.streams) if len(finite) else NotRun(otherwise, "no_images")

    @property
    def _all(self) -> range:
        return range(len(self.strata))

    def _of(self, picture: int) -> BoolArray:
        return self.pictures == picture


def _mean(values: DoubleArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _share(maps: DoubleArray, controls: DoubleArray) -> float:
    """P(map > control) + P(map = control) / 2 over all pairs; NaN where there is none."""
    maps, controls = maps[np.isfinite(maps)], controls[np.isfinite(controls)]
    return _mean((np.sign(maps[:, None] - controls[None]) + 1) / 2)


def measure(sheet: RatingSheet, answers: Sequence[RaterAnswers], trust: TrustReport | NotRun) -> Ratings:
    """All figures. What cannot be computed is NotRun with its reason."""
    sources = sorted(
        {*sheet.left_out, *(panel.source for panel in sheet.panels)}, key=lambda s: (s.control, s.title, s.method)
    )
    table = _table(sheet, sources, answers)
    means = np.stack([table.means(k) for k in range(len(sources))], axis=1)
    verdicts = {} if isinstance(trust, NotRun) else {v.method: v.reading for v in trust.verdicts}
    rated = [
        SourceRating(
            source.method,
            source.title,
            source.control,
            table.over_pictures(means[:, k], "no map of it was rated"),
            NotRun("it is a control", "not_applicable")
            if source.control
            else table.above(table.sources == k, table.control),
            sheet.left_out.get(source, 0),
            verdicts.get(source.method),
        )
        for k, source in enumerate(sources)
    ]
    methods, controls = (
        [k for k, source in enumerate(sources) if source.control == is_control] for is_control in (False, True)
    )
    # Methods may have been shown on other pictures, hard or easy ones; the controls were shown on all.
    gains = means[:, methods] - np.array([_mean(row[controls]) for row in means])[:, None]
    return Ratings(
        sheet=sheet.code,
        pictures=len(sheet.samples),
        maps=len(sheet.panels),
        sources=tuple(rated),
        raters=tuple(_rater(sheet, table, k, answer) for k, answer in enumerate(answers)),
        each_other=NotRun("there is only one rater", "not_applicable")
        if len(answers) < 2
        else agreement(table.values, table.pictures, table.strata, table.streams),
        above_controls={
            source.title: table.above(~table.control, table.sources == k)
            for k, source in enumerate(sources)
            if source.control
        },
        beside_tests=compare_with_tests(
            gains, [sources[k].method for k in methods], trust, table.strata, table.streams
        ),
    )


def _table(sheet: RatingSheet, sources: Sequence[Source], answers: Sequence[RaterAnswers]) -> _Table:
    panels, samples = sheet.panels, list(sheet.samples)
    rows = [[answer.ratings.get(panel.id) for panel in panels] for answer in answers]
    return _Table(
        values=np.array(rows, dtype=np.float64),
        pictures=np.array([samples.index(panel.sample_id) for panel in panels]),
        sources=np.array([sources.index(panel.source) for panel in panels]),
        control=np.array([panel.source.control for panel in panels]),
        strata=np.array([int(error) for error in sheet.samples.values()]),
        streams=Streams(sheet.seed),
    )


def _rater(sheet: RatingSheet, table: _Table, row: int, answers: RaterAnswers) -> Rater:
    index = {(panel.sample_id, panel.source, panel.repeat): k for k, panel in enumerate(sheet.panels)}
    pairs = [(index[sample_id, source, False], k) for (sample_id, source, repeat), k in index.items() if repeat]
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    values = table.values[row]
    rated, unsure = int(np.isfinite(values).sum()), sum(rating is None for rating in answers.ratings.values())
    return Rater(
        name=answers.rater,
        rated=rated,
        unsure=unsure,
        missing=len(values) - rated - unsure,
        themselves=agreement(values[np.stack([first, second])], table.pictures[second], table.strata, table.streams),
        above_controls=table.above(~table.control, table.control, slice(row, row + 1)),
    )
