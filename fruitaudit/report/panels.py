"""The explained images of each group: the photograph, what the model saw, and what every method says of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow, Group
from fruitaudit.records.results import Picture
from fruitaudit.records.states import NotRun
from fruitaudit.report.comparison import Partner, advice_of, anchor_of, image_anchor, lead_of, partners_of
from fruitaudit.report.figures import Scale, draw_map, empty_reason, scale_of
from fruitaudit.report.folder import Arrays, Folder
from fruitaudit.report.gallery import ORIGINAL_SIDE, picture_key
from fruitaudit.report.superpixels import SuperpixelViews, superpixel_views
from fruitaudit.report.words import decimals, percent, significant

OPEN = 3
"""Images a group shown at once; the others open on request."""
ONE_ROW = 3
"""Up to so many views stand in one row with the photograph; more stand in rows beside it."""
WEAK = 0.03
"""A map whose peak is below this share of the group's scale is called very weak."""
TOLD = ("completeness_error", "r2")
LIMITS = {"completeness_error": (0.05, 0.20)}
"""Diagnostic -> above the first it is amber, above the second red."""
POOR_FIT = 0.5
"""A local linear model (LIME) that explains less than this share of the probability is amber."""


@dataclass(frozen=True)
class Diagnostic:
    """A method's number about its own map, in words; `level` is "", "amber" or "red"."""

    name: str
    text: str
    level: str


@dataclass(frozen=True)
class Tile:
    """One method on one image: a picture, three views of superpixels, or words that say why there is none."""

    method: str
    title: str
    caveat: str
    signed: bool
    map: str | None
    peak: str
    """Its largest value, and the end of the group's scale."""
    at: float
    """Where the largest value stands on the colour bar, 0..1."""
    weak: bool
    """Drawn, but too pale to see beside the others of its group."""
    reason: str
    segments: SuperpixelViews | None
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class MethodPanel:
    """One method on one group: how to read its maps. `drawn` is None where its file cannot be read."""

    row: ExplanationRow
    options: str
    scale: Scale | None
    diagnostics: tuple[Diagnostic, ...]
    reason: str


@dataclass(frozen=True)
class ImagePanel:
    """One image of a group. `key` is the class under which the report holds its pictures once for all groups."""

    anchor: str
    key: str
    picture: Picture
    has_original: bool
    has_seen: bool
    bars: tuple[tuple[str, float], ...]
    tiles: tuple[Tile, ...]


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
        """Pictures that the methods give of one image: superpixels have three."""
        return sum(3 if method.row.kind == "segments" else 1 for method in self.methods)

    @property
    def one_row(self) -> bool:
        """Whether photograph, model input and all maps stand in one row."""
        return self.views <= ONE_ROW

    @property
    def columns(self) -> int:
        """Columns of equal width that a panel has."""
        if self.one_row:
            return self.views + 2
        return 3 if self.views == 4 and all(method.row.kind == "maps" for method in self.methods) else 4


def group_panels(folder: Folder) -> list[GroupPanel]:
    """Panels of every group, in the order of the results."""
    keys = {picture.sample_id: picture_key(i) for i, picture in enumerate(folder.results.pictures)}
    return [_group(folder, group, keys) for group in folder.results.groups]


def _group(folder: Folder, group: Group, keys: Mapping[str, str]) -> GroupPanel:
    rows = [row for row in folder.results.explanations if row.group == group.name]
    done = [row for row in rows if isinstance(row, ExplanationRow)]
    arrays = [folder.arrays(row) for row in done]
    methods = tuple(_method(row, stored) for row, stored in zip(done, arrays, strict=True))
    drawn = list(zip(methods, arrays, strict=True))
    groups, anchor = folder.results.groups, anchor_of(folder.results.groups, group)
    shown = [(image_anchor(groups, group, i), i) for i in group.sample_ids if i in folder.pictures]
    called = folder.pictures[shown[0][1]].predicted_class if shown else "something else"
    return GroupPanel(
        group=group,
        anchor=anchor,
        lead=lead_of(group, called),
        advice=advice_of(group),
        partners=partners_of(groups, group),
        methods=methods,
        not_run=tuple(row for row in rows if isinstance(row, ExplanationNotRun)),
        images=tuple(_image(folder, folder.pictures[i], drawn, anchor=place, key=keys[i]) for place, i in shown),
    )


def _method(row: ExplanationRow, arrays: Arrays | NotRun) -> MethodPanel:
    scale, reason = None, ""
    if isinstance(arrays, NotRun):
        reason = arrays.reason
    elif row.scale > 0:
        scale = scale_of(arrays["maps"], row.scale, signed=row.signed, probability=row.explains == "probability")
    else:
        reason = "every map of this group is empty"
    options = ", ".join(f"{name} {_option(value)}" for name, value in row.options.items())
    return MethodPanel(row, options, scale, _summaries(row), reason)


def _image(
    folder: Folder, picture: Picture, drawn: Sequence[tuple[MethodPanel, Arrays | NotRun]], *, anchor: str, key: str
) -> ImagePanel:
    return ImagePanel(
        anchor=anchor,
        key=key,
        picture=picture,
        has_original=folder.photograph(picture.original, ORIGINAL_SIDE) is not None,
        has_seen=folder.photograph(picture.seen, ORIGINAL_SIDE) is not None,
        bars=tuple(sorted(picture.probabilities.items(), key=lambda bar: -bar[1])),
        tiles=tuple(
            _tile(panel, arrays, panel.row.sample_ids.index(picture.sample_id))
            for panel, arrays in drawn
            if picture.sample_id in panel.row.sample_ids
        ),
    )


def _tile(panel: MethodPanel, arrays: Arrays | NotRun, index: int) -> Tile:
    row, drawn, peak, at, weak, views = panel.row, None, "", 0.0, False, None
    reason: str | None = panel.reason
    if not isinstance(arrays, NotRun):
        values = arrays["maps"][index]
        reason = empty_reason(values)
        if not reason and panel.scale:
            drawn = draw_map(values, panel.scale)
            top = values.flat[abs(values).argmax()]
            peak, at = f"{significant(top)} of {significant(panel.scale.end)}", panel.scale.place(float(top))
            weak = abs(float(top)) < WEAK * panel.scale.end
            if row.kind == "segments" and {"segments", "coefficients"} <= set(arrays):
                views = superpixel_views(arrays["segments"][index], arrays["coefficients"][index])
    # A tile has room for what tells a good map from a bad one; the table above the panels has the rest.
    told = [name for name in TOLD if name in row.diagnostics] or list(row.diagnostics)[:1]
    return Tile(
        method=row.method,
        title=row.title,
        caveat=row.caveat,
        signed=row.signed,
        map=drawn,
        peak=peak,
        at=at,
        weak=weak,
        reason=reason or "",
        segments=views,
        diagnostics=tuple(_diagnostic(name, row.diagnostics[name][index]) for name in told),
    )


def _diagnostic(name: str, value: float | None) -> Diagnostic:
    amber, red = LIMITS.get(name, (float("inf"), float("inf")))
    level = "red" if value is None or value > red else "amber" if value > amber else ""
    if name == "r2" and value is not None and value < POOR_FIT:
        level = "amber"
    return Diagnostic(_words(name), _value(name, value), level)


def _summaries(row: ExplanationRow) -> tuple[Diagnostic, ...]:
    """Median and range of every diagnostic; the level of its worst image."""
    summaries = []
    for name, values in row.diagnostics.items():
        known = [v for v in values if v is not None]
        worst = max((_diagnostic(name, v).level for v in values), key=("", "amber", "red").index, default="")
        text = "not finite"
        if known:
            middle = statistics.median(known)
            text = f"median {_value(name, middle)}, {_value(name, min(known))} to {_value(name, max(known))}"
        summaries.append(Diagnostic(_words(name), text, worst))
    return tuple(summaries)


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "not finite"
    return percent(value) if name in LIMITS else str(round(value)) if value == round(value) else decimals(value, 2)


def _words(name: str) -> str:
    return {"r2": "fit R\u00b2"}.get(name, name.replace("_", " "))


def _option(value: float | int | str | bool | None) -> str:
    return "automatic" if value is None else str(value)
