"""`rating.html`: the sheet as one self-contained file that asks nothing of the network and names no method."""

from __future__ import annotations

import json
from dataclasses import dataclass
from string import ascii_uppercase

from fruitaudit.rating.answers import FORMAT
from fruitaudit.rating.choosing import Card, RatingSheet
from fruitaudit.report.figures import draw_map
from fruitaudit.report.folder import Folder
from fruitaudit.report.gallery import ORIGINAL_SIDE
from fruitaudit.report.html import make_environment

STEPS = {1: "not at all", 2: "hardly", 3: "partly", 4: "mostly", 5: "exactly"}
UNSURE = "cannot say"
SECONDS = 6
"""About how long one map takes."""


@dataclass(frozen=True)
class ShownPanel:
    """One map of a card: `letter` is what people call it."""

    id: str
    letter: str
    src: str


@dataclass(frozen=True)
class Page:
    """One card: `photo` is the photograph, `model_input` what the model sees, both data URIs."""

    question: str
    name: str
    photo: str
    model_input: str
    maps: tuple[ShownPanel, ...]


def question_of(card: Card) -> str:
    """What is asked of every map of a card. It makes sense whether or not the model was right."""
    if card.against:
        return f"Does the colour lie where one should look to tell {card.explained} from {card.against}?"
    return f"Does the colour lie where one should look to tell whether this is {card.explained}?"


def minutes_of(sheet: RatingSheet) -> int:
    """About how long it takes to fill in."""
    return max(1, round(len(sheet.panels) * SECONDS / 60))


def render_sheet(folder: Folder, sheet: RatingSheet) -> str:
    """The whole page. Everything the user gave is escaped."""
    template = make_environment().get_template("rating/sheet.html")
    return template.render(
        title=folder.results.title,
        pages=[_page(folder, card) for card in sheet.cards],
        maps=len(sheet.panels),
        minutes=minutes_of(sheet),
        steps=STEPS,
        unsure=UNSURE,
        head=json.dumps({"format": FORMAT, "sheet": sheet.code}),
        code=sheet.code,
        aspect=f"{folder.results.preprocessing.width} / {folder.results.preprocessing.height}",
    )


def _page(folder: Folder, card: Card) -> Page:
    picture = folder.pictures[card.sample_id]
    model_input = folder.photograph(picture.seen, ORIGINAL_SIDE) or ""
    letters = (ascii_uppercase[i % 26] * (1 + i // 26) for i in range(len(card.panels)))
    return Page(
        question_of(card),
        f"{card.explained} rather than {card.against}" if card.against else card.explained,
        folder.photograph(picture.original, ORIGINAL_SIDE) or model_input,
        model_input,
        tuple(
            ShownPanel(panel.id, letter, draw_map(panel.values, panel.scale))
            for panel, letter in zip(card.panels, letters, strict=True)
        ),
    )
