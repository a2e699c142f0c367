"""Which maps a sheet shows, in which order: a function of the audit folder, the seed and the number of pictures.

The same three give the same sheet, so that its key need not be kept: it is derived again when ratings are read. A
panel's id is a hash of seed, group, sample, explained class, method, map and repeat: it names nothing, and ratings of
maps that have changed since are told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

from fruitaudit.errors import AuditError
from fruitaudit.rating.evidence import (
    RatedMap,
    Source,
    evidence_of,
    hidden_controls,
    input_pixels,
    of_another_picture,
    rated_rows,
)
from fruitaudit.records.data import FloatArray
from fruitaudit.records.explanations import ExplanationRow, Group
from fruitaudit.report.figures import Scale
from fruitaudit.report.folder import Folder
from fruitaudit.runtime.streams import Streams

T = TypeVar("T")
REPEATED = 2
"""Maps of each picture that are shown again, after all pictures were shown once."""


@dataclass(frozen=True, eq=False)
class RatedPanel:
    """One map to rate. `repeat`: the same map was shown before."""

    id: str
    sample_id: str
    source: Source
    repeat: bool
    values: FloatArray
    scale: Scale


@dataclass(frozen=True)
class Card:
    """One picture with its maps. With `against` the question is why `explained` rather than that class."""

    sample_id: str
    error: bool
    """Whether the model was wrong; never shown."""
    explained: str
    against: str
    panels: tuple[RatedPanel, ...]


@dataclass(frozen=True)
class RatingSheet:
    """All cards in the order of the page. `code` holds all that is needed to derive it again, and to know it again."""

    code: str
    seed: int
    cards: tuple[Card, ...]
    left_out: dict[Source, int]
    """Maps that were not shown: empty, too weak to be seen, or in a damaged file."""

    @property
    def panels(self) -> tuple[RatedPanel, ...]:
        """Every map of the sheet, repeats too."""
        return tuple(panel for card in self.cards for panel in card.panels)

    @property
    def samples(self) -> dict[str, bool]:
        """The pictures, each once, and whether the model was wrong about them."""
        return {card.sample_id: card.error for card in self.cards}


def make_sheet(folder: Folder, seed: int, pictures: int) -> RatingSheet:
    """Draw `pictures` pictures, errors and right answers in turn, and all maps of each. Raises AuditError."""
    streams = Streams(seed)
    rows = rated_rows(folder)
    by_group: dict[str, list[tuple[ExplanationRow, RatedMap]]] = {}
    for row in rows:
        evidence, entries = evidence_of(folder, row, rows), by_group.setdefault(row.group, [])
        if evidence.source not in [other.source for _, other in entries]:
            entries.append((row, evidence))
    selection = _draw(folder, by_group, streams, pictures)
    if not selection:
        raise AuditError(f"{folder.path} holds no map and picture to rate: name an audit with a method that gives one "
                         "map per image, such as saliency.", slug="rating-no-maps")  # fmt: skip
    sample_ids = tuple(sample_id for _, sample_id in selection)
    dealer = _Dealer(streams, hidden_controls(folder, sample_ids, streams), sample_ids)
    order = streams.rng("rating", "order").permutation(len(selection))
    first_round = [
        dealer.card(group, sample_id, by_group[group.name]) for group, sample_id in (selection[k] for k in order)
    ]
    # In the same order, so that each picture comes back after as many others.
    cards = (*first_round, *(dealer.repeated(card) for card in first_round))
    digest = streams.integer("rating", *(panel.id for card in cards for panel in card.panels))
    return RatingSheet(f"{seed}-{pictures}-{digest:016x}", seed, cards, dealer.left_out)


def _draw(
    folder: Folder,
    by_group: Mapping[str, Sequence[tuple[ExplanationRow, RatedMap]]],
    streams: Streams,
    pictures: int,
) -> list[tuple[Group, str]]:
    """Errors and right answers in turn, and within each the groups in turn; no picture twice."""
    queues: dict[bool, list[list[tuple[Group, str]]]] = {True: [], False: []}
    for group in folder.results.groups:
        evidence = [rated_map for _, rated_map in by_group.get(group.name, ())]
        candidates = [
            i for i in group.sample_ids if any(e.drawable(i) is not None for e in evidence) and _is_readable(folder, i)
        ]
        order = streams.rng("rating", "draw", group.name).permutation(len(candidates))
        queues[group.kind != "true_positive"].append([(group, candidates[k]) for k in order])
    turns = _in_turn([_in_turn(queues[True]), _in_turn(queues[False])])
    selection: dict[str, tuple[Group, str]] = {}
    for group, sample_id in turns:
        selection.setdefault(sample_id, (group, sample_id))
    return list(selection.values())[:pictures]


def _in_turn(queues: Iterable[Sequence[T]]) -> list[T]:
    return [entry for turn in zip_longest(*queues) for entry in turn if entry is not None]


def _is_readable(folder: Folder, sample_id: str) -> bool:
    try:
        return input_pixels(folder, sample_id).size > 0
    except (KeyError, OSError):
        return False


@dataclass(frozen=True)
class _Dealer:
    """Makes the cards, and counts the maps that cannot be shown."""

    streams: Streams
    controls: Sequence[RatedMap]
    sample_ids: tuple[str, ...]
    """All pictures of the sheet."""
    left_out: dict[Source, int] = field(default_factory=dict)

    def card(self, group: Group, sample_id: str, methods: Sequence[tuple[ExplanationRow, RatedMap]]) -> Card:
        """All maps of a picture, methods and controls mixed."""
        row = next(row for row, _ in methods if sample_id in row.sample_ids)
        at = row.sample_ids.index(sample_id)
        explained, against = row.target_classes[at], row.against_classes[at] if row.against_classes else ""
        panels = []
        method_maps = [evidence for _, evidence in methods]
        for evidence in (
            *method_maps,
            *self.controls,
            of_another_picture(method_maps, sample_id, self.sample_ids, self.streams),
        ):
            values, scale, source = evidence.drawable(sample_id), evidence.scale, evidence.source
            if values is None or scale is None:
                self.left_out[source] = self.left_out.get(source, 0) + 1
                continue
            # Controls are computed, on another machine perhaps with another last digit.
            content = "" if source.control else hashlib.sha256(values.tobytes()).hexdigest()
            name = self._id(group.name, sample_id, explained, against, source.method, source.title, content)
            panels.append(RatedPanel(name, sample_id, source, False, values, scale))
        return Card(sample_id, group.kind != "true_positive", explained, against, tuple(self._mixed(panels, sample_id)))

    def repeated(self, card: Card) -> Card:
        """The same picture with some of its maps, in another order."""
        selection = self._mixed(card.panels, card.sample_id, "again")[:REPEATED]
        repeats = (
            RatedPanel(self._id(p.id, "again"), p.sample_id, p.source, True, p.values, p.scale) for p in selection
        )
        return Card(card.sample_id, card.error, card.explained, card.against, tuple(repeats))

    def _id(self, *parts: str) -> str:
        return f"{self.streams.integer('rating', 'panel', *parts):016x}"

    def _mixed(self, panels: Sequence[RatedPanel], *purpose: str) -> list[RatedPanel]:
        return [panels[k] for k in self.streams.rng("rating", "maps", *purpose).permutation(len(panels))]
