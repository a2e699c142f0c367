"""A number that was estimated, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fruitaudit.records.numbers import count, number, tenths

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
    "does_not_fit",  # the model is at chance in the lab: what is fed to it does not fit it
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
    code: NotRunCode
    state: Literal["not_run"] = "not_run"

    def text(self, *, share: bool | None = None) -> str:
        """Where a number would stand."""
        return f"not computed: {self.reason}"

    def short_text(self, *, share: bool = False, digits: int | None = None, noun: str = "image") -> str:
        """As `text`: there is nothing to shorten."""
        return self.text()


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

    def text(self, *, share: bool | None = None) -> str:
        """`15.3 % (49 of 320; 95 % interval 11.8–19.7 %)`; in percent where it is a `share` or counts successes."""
        share = self.successes is not None if share is None else share
        inside = [self.denominator_text(), *self._interval_named(self.interval_text(share=share)), *self._grouped()]
        return f"{number(self.value, share=share)} ({'; '.join(inside)})"

    def short_text(self, *, share: bool = False, digits: int | None = None, noun: str = "image") -> str:
        """`0.53 (0.41–0.66, 10 images)`, for a cell."""
        inside = [self.interval_text(share=share, digits=digits), count(self.n, noun)]
        return f"{number(self.value, share=share, digits=digits)} ({', '.join(filter(None, inside))})"

    def points_text(self) -> str:
        """A difference of accuracy: `+38.4 points (95 % interval +36.6 to +40.2; 320 images)`."""
        spread = self._interval_named(self.points_interval_text(signed=True))
        inside = "; ".join([*spread, count(self.n, "image"), *self._grouped()])
        return f"{tenths(self.value, signed=True)} points ({inside})"

    def interval_text(self, *, share: bool = False, digits: int | None = None) -> str:
        """`11.8–19.7 %`; empty where no interval is defined."""
        if self.low is None or self.high is None:
            return ""
        low, high = (number(end, share=share, digits=digits) for end in (self.low, self.high))
        return f"{low.removesuffix(' %')}–{high}"

    def points_interval_text(self, *, signed: bool = False) -> str:
        """`36.6 to 40.2`; empty where no interval is defined."""
        if self.low is None or self.high is None:
            return ""
        return f"{tenths(self.low, signed=signed)} to {tenths(self.high, signed=signed)}"

    def denominator_text(self) -> str:
        """`49 of 320`, or `320 images` where the value is no plain share."""
        return f"{self.n:,} images" if self.successes is None else f"{self.successes:,} of {self.n:,}"

    def groups_text(self) -> str:
        """What groups make of the images; empty where there are none, or each image is one."""
        if self.no_interval is not None:
            return f"no interval: {self.no_interval.reason}"
        if self.n_groups is None or self.n_groups == self.n:
            return ""
        if self.n_effective is None or self.design_effect is None:
            return count(self.n_groups, "group")
        effective = f"{self.n_effective:,.0f} of {self.n:,}"
        return f"effective number of images {effective}, design effect {self.design_effect:.1f}"

    def _grouped(self) -> list[str]:
        return list(filter(None, [self.groups_text()]))

    @staticmethod
    def _interval_named(spread: str) -> list[str]:
        return [f"95 % interval {spread}"] if spread else []


Quantity = Estimate | NotRun
