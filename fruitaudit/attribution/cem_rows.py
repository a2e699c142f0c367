"""What the search of the contrastive explanation method goes by: a row is one image in one mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray

NEVER = 1e10
"""A distance, or an upper end of c, that was not reached yet."""
_KNOWN = 1e9


class Rows(NamedTuple):
    """What is asked, (R, ...) each."""

    origin: FloatArray
    """(R, H, W, C) in model input: what is changed, the image (PN) or the one without information (PP)."""
    room: FloatArray
    """(R, H, W, C) in 0..1 colour: the image minus the one without information, i.e. what there is in the image."""
    positive: npt.NDArray[np.bool_]
    """(R,) a PP is asked, else a PN."""
    target: IntArray
    c: FloatArray
    """(R,) the first c."""
    settled: npt.NDArray[np.bool_]
    """(R,) nothing need be changed, so that there is nothing to search."""


class Nearest(NamedTuple):
    """(R, ...): the change in 0..1 colour, whether there is one, the c it was found with, and iterations."""

    change: FloatArray
    found: npt.NDArray[np.bool_]
    c: FloatArray
    iterations: FloatArray


@dataclass
class RowState:
    """Where one row is. Pictures are (H, W, C); arrays are replaced, never written to."""

    number: int
    """Its place among all rows."""
    origin: FloatArray
    """In model input."""
    low: FloatArray
    high: FloatArray
    """Ends of the change in 0..1 colour."""
    twice: FloatArray | None
    """2 room of a PN: a change d is allowed where d (twice + d) > 0, so that |room + d| > |room|. None: everywhere."""
    positive: bool
    target: int
    c: float
    delta: FloatArray
    point: FloatArray
    """y of the paper: `delta`, carried on by its momentum where there is one."""
    attack: FloatArray | None = None
    """Slope of the hinge max(0, kappa + lead) at `point`, in 0..1 colour; None where it is 0."""
    first_attack: FloatArray | None = None
    """The same at the origin, where every round begins."""
    k: int = 0
    lower: float = 0.0
    upper: float = NEVER
    hit: bool = False
    """Whether there was a find with the present c."""
    still: bool = True
    """Whether `point` is the origin."""
    best: FloatArray | None = None
    """The nearest find so far, its `distance`, and the c that it was `reached` with."""
    distance: float = NEVER
    reached: float = np.nan
    rounds: int = 0
    iterations: int = 0

    @classmethod
    def begun(cls, rows: Rows, number: int, low: FloatArray, span: FloatArray) -> RowState:
        """PN: colours stay in 0..1 and move away from no information, or not at all. PP: no more than the image has."""
        origin, room, positive = rows.origin[number], rows.room[number], bool(rows.positive[number])
        colour, still = (origin - low) / span, np.zeros_like(origin)
        return cls(
            number=number,
            origin=origin,
            low=np.minimum(room, 0) if positive else -colour,
            high=np.maximum(room, 0) if positive else 1 - colour,
            twice=None if positive else 2 * room,
            positive=positive,
            target=int(rows.target[number]),
            c=float(rows.c[number]),
            delta=still,
            point=still,
        )

    def allowed(self, change: FloatArray) -> FloatArray:
        """The projection on what may change, number by number, in place."""
        np.clip(change, self.low, self.high, out=change)
        if self.twice is not None:
            away = self.twice + change
            away *= change
            change *= away > 0
        return change

    def moved_to(self, delta: FloatArray, point: FloatArray, attack: FloatArray | None, round_length: int) -> None:
        """End an iteration: go on from there, or begin the next round, with the next c."""
        # Where nothing moved off the origin, nothing will: the slope is the same again, and the rate falls.
        still = not point.any()
        self.iterations += 1
        if not (self.still and still) and self.k + 1 < round_length:
            self.delta, self.point, self.attack, self.still, self.k = delta, point, attack, still, self.k + 1
            return
        if self.hit:
            self.upper = min(self.upper, self.c)
        else:
            self.lower = max(self.lower, self.c)
        self.c = (self.lower + self.upper) / 2 if self.upper < _KNOWN else self.c * 10
        self.delta = self.point = np.zeros_like(delta)
        self.attack, self.still, self.hit, self.k = self.first_attack, True, False, 0
        self.rounds += 1

    def found(self, delta: FloatArray, distance: float) -> None:
        """Note a find of the present c."""
        self.hit = True
        if distance < self.distance:
            self.best, self.distance, self.reached = delta, distance, self.c
