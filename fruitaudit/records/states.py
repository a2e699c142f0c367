"""A number that was estimated, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NotRunCode = Literal[
    "off",  # the config switches it off
    "not_asked",  # nobody asked for it
    "not_applicable",  # it does not fit this model, this method, these options or these data
    "no_images",
    "no_reference",  # no split with role: reference
    "no_field",  # no split with role: field
    "no_masks",  # where the object is, is not known
    "no_difference",  # the splits do not differ in it
    "no_baseline",  # nothing to compare with
    "too_few_images",
    "too_few_groups",
    "undefined",  # these data give the number no value: a ratio over 0, a correlation of constants
    "undecidable",  # it was measured, and does not tell
    "not_found",  # it was looked for, and there is none
    "failed",  # an exception
    "unreadable",  # its file is missing or damaged
    "not_computed",
]
"""Why there is no number. What follows from the reason is decided by this, never by its sentence."""


@dataclass(frozen=True)
class NotRun:
    """What could not be computed, in a sentence and as a code. Its own state: never a pass, never zero."""

    reason: str
    code: NotRunCode = "not_computed"
    state: Literal["not_run"] = "not_run"


@dataclass(frozen=True)
class Estimate:
    """A number with its denominator and its 95 % interval.

    `low` and `high` are None where no interval is defined (say why in `note`). `n` is the denominator: the number of
    images the value was computed from. `successes` is set for proportions, so that `successes / n == value`.
    `interval` names the construction, e.g. "Wilson" or "stratified bootstrap, 1000 resamples".
    Where images come in groups (`group_id`), `n_groups` counts them; `n_effective` says how many independent images
    would tell as much, and `design_effect` is n / n_effective. `no_interval` is why these groups give no interval.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None
    successes: int | None = None
    interval: str = "none"
    note: str = ""
    n_groups: int | None = None
    n_effective: float | None = None
    design_effect: float | None = None
    no_interval: NotRun | None = None
    state: Literal["estimate"] = "estimate"


Quantity = Estimate | NotRun
