"""State of the contrastive explanation method's search: a row is one image in one mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray

NEVER = 1e10
"""A distance, or an upper end of c, that was not reached yet."""
_REACHED = 1e9


class Rows(NamedTuple):
    """The problems to solve, (R, ...) each."""

    origin: FloatArray
    """(R, H, W, C) in model input: what is changed, the image (PN) or the one without information (PP)."""
    allowed_change: FloatArray
    """(R, H, W, C) in 0..1 colour: the image minus the one without information, i.e. what there is in the image."""
    positive: npt.NDArray[np.bool_]
    """(R,) a PP is asked, else a PN."""
    target: IntArray
    c: FloatArray
    """(R,) the first c."""
    settled: npt.NDArray[np.bool_]
    """(R,) nothing need be changed, so that there is nothing to search."""


class Nearest(NamedTuple):
    """(R, ...): the smallest change in 0..1 colour, whether there is one, its c, and the iterations."""

    change: FloatArray
    success: npt.NDArray[np.bool_]
    c: FloatArray
    iterations: FloatArray


@dataclass
class RowState:
    """State of one row's search. Pictures are (H, W, C); arrays are replaced, never written to."""

    number: int
    """Its place among all rows."""
    origin: FloatArray
    """In model input."""
    low: FloatArray
    high: FloatArray
    """Ends of the change in 0..1 colour."""
    twice_allowed: FloatArray | None
    """2 r of a PN, r its `Rows.allowed_change`: d is allowed where d (2 r + d) > 0. None: everywhere."""
    positive: bool
    target: int
    c: float
    delta: FloatArray
    point: FloatArray
    """y of the paper: `delta`, carried on by its momentum where there is one."""
    hinge_gradient: FloatArray | None = None
    """Slope of the hinge max(0, kappa + lead) at `point`, in 0..1 colour; None where it is 0."""
    first_hinge_gradient: FloatArray | None = None
    """The same at the origin, where every round begins."""
    k: int = 0
    lower: float = 0.0
    upper: float = NEVER
    success: bool = False
    """Whether a counterfactual was reached with the present c."""
    at_origin: bool = True
    """Whether `point` is the origin."""
    best: FloatArray | None = None
    """The nearest counterfactual so far, its `distance`, and the c that it was reached with."""
    distance: float = NEVER
    best_c: float = np.nan
    rounds: int = 0
    iterations: int = 0

    @classmethod
    def initial(cls, rows: Rows, number: int, low: FloatArray, span: FloatArray) -> RowState:
        """PN: colours stay in 0..1 and move away from no information, or not at all. PP: no more than the image has."""
        origin, allowed_change, positive = rows.origin[number], rows.allowed_change[number], bool(rows.positive[number])
        colour, zeros = (origin - low) / span, np.zeros_like(origin)
        return cls(
            number=number,
            origin=origin,
            low=np.minimum(allowed_change, 0) if positive else -colour,
            high=np.maximum(allowed_change, 0) if positive else 1 - colour,
            twice_allowed=None if positive else 2 * allowed_change,
            positive=positive,
            target=int(rows.target[number]),
            c=float(rows.c[number]),
            delta=zeros,
            point=zeros,
        )

    def project(self, change: FloatArray) -> FloatArray:
        """Project `change` on the allowed set, number by number, in place."""
        np.clip(change, self.low, self.high, out=change)
        if self.twice_allowed is not None:
            sign = self.twice_allowed + change
            sign *= change
            change *= sign > 0
        return change

    def move_to(
        self, delta: FloatArray, point: FloatArray, hinge_gradient: FloatArray | None, round_length: int
    ) -> None:
        """End an iteration: go on from there, or begin the next round, with the next c."""
        # Where nothing moved off the origin, nothing will: the slope is the same again, and the rate falls.
        at_origin = not point.any()
        self.iterations += 1
        if not (self.at_origin and at_origin) and self.k + 1 < round_length:
            self.delta, self.point, self.hinge_gradient = delta, point, hinge_gradient
            self.at_origin, self.k = at_origin, self.k + 1
            return
        if self.success:
            self.upper = min(self.upper, self.c)
        else:
            self.lower = max(self.lower, self.c)
        self.c = (self.lower + self.upper) / 2 if self.upper < _REACHED else self.c * 10
        self.delta = self.point = np.zeros_like(delta)
        self.hinge_gradient, self.at_origin, self.success, self.k = self.first_hinge_gradient, True, False, 0
        self.rounds += 1

    def record_success(self, delta: FloatArray, distance: float) -> None:
        """Note that `delta` is a counterfactual, of the present c."""
        self.success = True
        if distance < self.distance:
            self.best, self.distance, self.best_c = delta, distance, self.c
