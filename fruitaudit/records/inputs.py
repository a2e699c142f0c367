"""How images are prepared for a model, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fruitaudit.records.data import DoubleArray
from fruitaudit.records.states import Quantity

Source = Literal["written", "file", "data", "undecided"]
"""The user wrote it down, the model file says it, the images tell, or nothing establishes it."""


@dataclass(frozen=True)
class Entrance:
    """What a model file does to a pixel before its first trained layer: `matrix @ pixel + offset`, per pixel.

    `whole_numbers`: its input is declared as integers, which only pixels of 0 to 255 can be.
    """

    matrix: DoubleArray
    """(D, C)"""
    offset: DoubleArray
    """(D,)"""
    layer: str
    """The first trained layer."""
    whole_numbers: bool = False

    @property
    def changes(self) -> bool:
        """Whether numbers become other numbers; an exchange of channels alone says nothing of the scale."""
        if self.matrix.shape[0] != self.matrix.shape[1] or not np.allclose(self.offset, 0):
            return True
        return not (np.allclose(self.matrix.sum(axis=1), 1) and np.allclose(self.matrix.max(axis=1), 1))


@dataclass(frozen=True)
class PreparationSetting:
    """One key of `model.preprocessing`, its value, and how that is known, in a sentence."""

    key: str
    value: str
    source: Source
    evidence: str = ""


@dataclass(frozen=True)
class PreparationTrial:
    """What the model answers when images are prepared in another way than the audit's; compared image by image.

    `chance`: the probability that it differs so from the audit's way by chance; None where groups are too few.
    `surely`: whether that is less than the error allowed for all ways tried. `possible`: whether nothing rules this way
    out: neither the config, the file nor the data.
    """

    values: dict[str, str]
    """By key of `model.preprocessing`, where it differs from the audit's."""
    accuracy: Quantity
    difference: float
    chance: float | None
    surely: bool
    possible: bool


@dataclass(frozen=True)
class PreprocessingSummary:
    """What is done to every image before the model sees it, and how that was decided."""

    height: int
    width: int
    channels: int
    resize: str
    interpolation: str
    scale: str
    channel_order: str = "rgb"
    settings: tuple[PreparationSetting, ...] = ()
    accuracy: Quantity | None = None
    """Of the way above, on the images of the trials; None where nothing was tried."""
    tried_on: str = ""
    """The splits of these images."""
    trials: tuple[PreparationTrial, ...] = ()
    """The other ways, most accurate first."""
    file_says: str = ""
    """What the model file does to pixels, in a sentence; empty where it does nothing or hides it."""
    loader: str = "fruitaudit"
    """Whose conventions of decoding and resizing."""
    conventions: str = ""
    """These conventions, in one phrase."""
    overrides: dict[str, str] = field(default_factory=dict)
    """Where they are not the loader's: the keys of `model.preprocessing`, as YAML spells their values."""
    decoder: str = ""
    """How far JPEGs are from what the loader's own decoder gives, in a sentence; empty where they are equal."""

    written: tuple[str, ...] = ()
    """The keys that the config has and nobody marked as guessed."""

    @property
    def undecided(self) -> tuple[str, ...]:
        """The keys that nobody wrote down and nothing establishes."""
        return tuple(setting.key for setting in self.settings if setting.source == "undecided")

    @property
    def evidence(self) -> tuple[str, ...]:
        """One sentence per setting that nobody wrote down, and one about JPEGs where their pixels differ."""
        return tuple(filter(None, (*(setting.evidence for setting in self.settings), self.decoder)))

    def source_of(self, key: str) -> Source | None:
        """Of one key; None for a default that comes with what is written."""
        found = next((setting.source for setting in self.settings if setting.key == key), None)
        return found or ("written" if key in self.written else None)
