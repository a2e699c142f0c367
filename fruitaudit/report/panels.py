"""The explained images of each group: the photograph, what the model saw, and what every method says of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.attribution.base import Diagnostic
from fruitaudit.providers.registry import diagnostics_of
from fruitaudit.records.explanations import Explanation, ExplanationNotRun, ExplanationRow, Group
from fruitaudit.records.numbers import decimals
from fruitaudit.records.results import Picture, Results
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import MethodVerdict, Readability
from fruitaudit.report.comparison import Partner, advice_of, anchor_of, image_anchor, lead_of, partners_of, question_of
from fruitaudit.report.figures import Scale, scale_of
from fruitaudit.report.folder import Folder
from fruitaudit.report.gallery import ORIGINAL_SIDE, picture_key
from fruitaudit.report.views import View, maps_of, views_of
from fruitaudit.report.words import percent

OPEN = 3
"""Images per group shown at once; the others open on request."""
ONE_ROW = 3
"""Up to so many views stand in one row with the photograph; more stand in rows beside it."""
READINGS: tuple[Readability | None, ...] = ("read", "with_care", None, "do_not_read")
"""The order in which methods stand: those that may be read first, those that must not be read last."""
MAX_SPAN = 3
"""Columns that one method may fill; more views stand in further rows."""


@dataclass(frozen=True)
class DiagnosticView:
    """A method's number about its own map, in words; `level` is "", "amber" or "red"."""

    name: str
    text: str
    level: str


@dataclass(frozen=True)
class Tile:
    """One method on one image: the views it gives."""

    method: str
    title: str
    caveat: str
    signed: bool
    verdict: MethodVerdict | None
    views: tuple[View, ...]
    diagnostics: tuple[DiagnosticView, ...]

    @property
    def span(self) -> int:
        """Columns of the panel that the tile fills."""
        return min(len(self.views), MAX_SPAN)


@dataclass(frozen=True)
class MethodPanel:
    """One method on one group: how to read its maps. `reason` says why it has no maps."""

    row: ExplanationRow
    title: str
    """The method's title, with the options in which it differs from its namesakes of this group."""
    options: str
    scale: Scale | None
    diagnostics: tuple[DiagnosticView, ...]
    reason: str
    verdict: MethodVerdict | None
    """Whether this method may be read on this model; None where it was not tested."""


@dataclass(frozen=True)
class ImagePanel:
    """One image of a group. `key` is the class under which the report holds its pictures once for all groups."""

    anchor: str
    key: str
    picture: Picture
    has_original: bool
    has_model_input: bool
    bars: tuple[tuple[str, float], ...]
    tiles: tuple[Tile, ...]
    question: str
    """What the maps ask, where it is not simply what speaks for the class called."""


@dataclass(frozen=True)
class GroupPanel:
    """One group, with the methods that ran on it and those that did not."""

    group: Group
    anchor: str
    lead: str
    advice: str
    partners: tuple[Partner, ...]
    methods: tuple[MethodPanel, ...]
    not_run: tuple[ExplanationNotRun, ...]
    images: tuple[ImagePanel, ...]

    @property
    def views(self) -> int:
        """Columns that the methods fill with one image, at the most."""
        return max((sum(tile.span for tile in image.tiles) for image in self.images), default=0)

    @property
    def one_row(self) -> bool:
        """Whether photograph, model input and all maps stand in one row."""
        return self.views <= ONE_ROW

    @property
    def columns(self) -> int:
        """Columns of equal width that a panel has."""
        if self.one_row:
            return self.views + 2
        return 3 if self.views == 4 and all(tile.span == 1 for image in self.images for tile in image.tiles) else 4


def group_panels(folder: Folder) -> list[GroupPanel]:
    """Panels of every group, in the order of the results."""
    keys = {picture.sample_id: picture_key(i) for i, picture in enumerate(folder.results.pictures)}
    return [_group(folder, group, keys) for group in folder.results.groups]


def _group(folder: Folder, group: Group, keys: Mapping[str, str]) -> GroupPanel:
    rows = [row for row in folder.results.explanations if row.group == group.name]
    verdicts = verdicts_of(folder.results)
    finished = [row for row in rows if isinstance(row, ExplanationRow) and row.kind != "feature_maps"]
    finished.sort(key=lambda row: READINGS.index(verdicts[row.method].reading if row.method in verdicts else None))
    explanations = [folder.explanation(row) for row in finished]
    methods = tuple(
        _method(row, title_among(row, finished), explanation, verdicts.get(row.method))
        for row, explanation in zip(finished, explanations, strict=True)
    )
    drawings = list(zip(methods, explanations, strict=True))
    groups, anchor = folder.results.groups, anchor_of(folder.results.groups, group)
    places = [(image_anchor(groups, group, i), i) for i in group.sample_ids if i in folder.pictures]
    predicted_class = folder.pictures[places[0][1]].predicted_class if places else "something else"
    return GroupPanel(
        group=group,
        anchor=anchor,
        lead=lead_of(group, predicted_class),
        advice=advice_of(group),
        partners=partners_of(groups, group),
        methods=methods,
        not_run=tuple(row for row in rows if isinstance(row, ExplanationNotRun)),
        images=tuple(_image(folder, folder.pictures[i], drawings, anchor=place, key=keys[i]) for place, i in places),
    )


def title_among(row: ExplanationRow, rows: Sequence[ExplanationRow]) -> str:
    """The title of a row, with the options in which it differs from its namesakes among `rows`."""
    twins = [candidate for candidate in rows if candidate.method == row.method and candidate is not row]
    differs = [name for name in row.options if any(twin.options.get(name) != row.options[name] for twin in twins)]
    return ", ".join([row.title, *(f"{name} {_option(row.options[name])}" for name in differs)])


def verdicts_of(results: Results) -> dict[str, MethodVerdict]:
    """The verdict on each method that was tested, by its spelling."""
    return {} if isinstance(results.trust, NotRun) else {verdict.method: verdict for verdict in results.trust.verdicts}


def _method(
    row: ExplanationRow, title: str, explanation: Explanation | NotRun, verdict: MethodVerdict | None
) -> MethodPanel:
    scale, reason = None, ""
    maps = None if isinstance(explanation, NotRun) else maps_of(explanation)
    if isinstance(explanation, NotRun):
        reason = explanation.reason
    elif maps is not None:
        end = row.scale or (float(np.abs(maps).max()) if row.kind == "counterfactuals" else 0.0)
        signed = row.signed or row.kind == "counterfactuals"
        if end > 0:
            scale = scale_of(maps, end, signed=signed, probability=row.explains == "probability" and row.scale > 0)
        else:
            reason = "every map of this group is empty"
    # A contrast is of logits, whatever the option says.
    settings = {name: value for name, value in row.options.items() if not (name == "explains" and row.against_classes)}
    options = ", ".join(f"{name} {_option(value)}" for name, value in settings.items())
    return MethodPanel(row, title, options, scale, _summaries(row), reason, verdict)


def _image(
    folder: Folder,
    picture: Picture,
    methods: Sequence[tuple[MethodPanel, Explanation | NotRun]],
    *,
    anchor: str,
    key: str,
) -> ImagePanel:
    return ImagePanel(
        anchor=anchor,
        key=key,
        picture=picture,
        has_original=folder.photograph(picture.original, ORIGINAL_SIDE) is not None,
        has_model_input=folder.photograph(picture.seen, ORIGINAL_SIDE) is not None,
        bars=tuple(sorted(picture.probabilities.items(), key=lambda bar: -bar[1])),
        tiles=tuple(
            _tile(panel, explanation, panel.row.sample_ids.index(picture.sample_id), folder)
            for panel, explanation in methods
            if picture.sample_id in panel.row.sample_ids
        ),
        question=question_of([panel.row for panel, _ in methods], picture.sample_id),
    )


def _tile(panel: MethodPanel, explanation: Explanation | NotRun, index: int, folder: Folder) -> Tile:
    row = panel.row
    views: tuple[View, ...] = (View(None, reason=panel.reason),)
    if not isinstance(explanation, NotRun):
        views = views_of(explanation, index, panel.scale, folder.results.model.class_names, bgr=folder.bgr)
    # A tile has room for what tells a good map from a bad one; the table above the panels has the rest.
    registered = diagnostics_of(row.method)
    names = [name for name, diagnostic in registered.items() if diagnostic.poor is not None and name in row.diagnostics]
    if not names and row.kind == "maps":
        names = list(row.diagnostics)[:1]
    return Tile(
        method=row.method,
        title=panel.title,
        caveat=row.caveat,
        signed=row.signed or row.kind == "counterfactuals",
        verdict=panel.verdict,
        views=views,
        diagnostics=tuple(
            _diagnostic(_registered_or_plain(registered, name), row.diagnostics[name][index]) for name in names
        ),
    )


def _registered_or_plain(registered: Mapping[str, Diagnostic], name: str) -> Diagnostic:
    """What the method's registration says of it; a folder of another version may hold a number that nobody knows."""
    return registered.get(name, Diagnostic(name, name.replace("_", " ")))


def _diagnostic(diagnostic: Diagnostic, value: float | None) -> DiagnosticView:
    level = "amber" if value is not None and diagnostic.is_poor(value) else ""
    if value is None or diagnostic.is_bad(value):
        level = "red"
    return DiagnosticView(diagnostic.title, _value(diagnostic, value), level)


def _summaries(row: ExplanationRow) -> tuple[DiagnosticView, ...]:
    """Median and range of every diagnostic; the level of its worst image."""
    summaries = []
    registered = diagnostics_of(row.method)
    for name, values in row.diagnostics.items():
        diagnostic = _registered_or_plain(registered, name)
        finite = [v for v in values if v is not None]
        worst = max((_diagnostic(diagnostic, v).level for v in values), key=("", "amber", "red").index, default="")
        text = "not finite"
        if finite:
            middle, low, high = (_value(diagnostic, v) for v in (statistics.median(finite), min(finite), max(finite)))
            text = f"median {middle}, {low} to {high}" if low != high else f"{low} on every image"
        summaries.append(DiagnosticView(diagnostic.title, text, worst))
    return tuple(summaries)


def _value(diagnostic: Diagnostic, value: float | None) -> str:
    if value is None:
        return "not finite"
    if diagnostic.is_share:
        return "<" * (0 < value < 0.001) + percent(max(value, 0.001) if value > 0 else value)
    return str(round(value)) if value == round(value) else decimals(value, 2)


def _option(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "automatic" if value is None else str(value)
