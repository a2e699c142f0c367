"""The search behind the contrastive explanation method: FISTA over a stacked batch, with c searched for every row.

A row is one image in one mode, independent of the others: it has its own iteration, its own c, its own round of
the search for c, and leaves the batch when it is through. Colours are 0 (black) to 1 (white) here, whatever the
model's input range, so that the options mean the same for every model.

One gradient pass answers both questions about an iterate: is it a counterfactual, and where does the next step go?
With momentum they are asked at two places, and a counterfactual takes one more forward pass. The model sees all rows
at once. All else is done row by row, since one picture stays in the processor's cache and a batch does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.cem_rows import Nearest, Rows, RowState
from fruitaudit.errors import CannotExplain, NoGradient
from fruitaudit.models.base import Autoencoder, WithGradients
from fruitaudit.records.data import FloatArray, IntArray


@dataclass(frozen=True)
class Search:
    """The constants of the search, as `cem.Cem` explains them, and the range of the model's input."""

    gamma: float
    beta: float
    kappa: float
    max_iterations: int
    c_steps: int
    momentum: bool
    learning_rate: float
    clip: float
    score: Literal["probability", "logit"]
    low: FloatArray
    span: FloatArray
    autoencoder: Autoencoder | None = None

    @property
    def round_length(self) -> int:
        """Iterations of one c: those whose step is long enough for a pixel to leave 0, a_k clip > beta; 1 at least."""
        shortest = self.beta / (self.learning_rate * self.clip)
        return max(1, math.ceil(self.max_iterations * (1 - min(shortest, 1) ** 2)))

    def __call__(self, model: WithGradients, rows: Rows) -> Nearest:
        """Search all rows, as many at once as the model takes."""
        c, iterations = (np.full(len(rows.settled), number, np.float32) for number in (np.nan, 0))
        nearest = Nearest(np.zeros_like(rows.origin), rows.settled.copy(), c, iterations)
        active, waiting = list[RowState](), np.flatnonzero(~rows.settled).tolist()
        while active or waiting:
            free = max(model.batch_size - len(active), 0)
            entering, waiting = waiting[:free], waiting[free:]
            active += self._evaluate_start(
                model, [RowState.initial(rows, number, self.low, self.span) for number in entering]
            )
            self._iterate(model, active)
            for row in (row for row in active if row.rounds >= self.c_steps):
                nearest.iterations[row.number] = row.iterations
                if row.best is not None:
                    nearest.success[row.number], nearest.c[row.number] = True, row.best_c
                    nearest.change[row.number] = row.best
            active = [row for row in active if row.rounds < self.c_steps]
        return nearest

    def _evaluate_start(self, model: WithGradients, rows: list[RowState]) -> list[RowState]:
        if rows:
            _, hinge_gradients = self._leads_and_gradients(model, rows, [row.point for row in rows])
            for row, hinge_gradient in zip(rows, hinge_gradients, strict=True):
                row.hinge_gradient = row.first_hinge_gradient = hinge_gradient
        return rows

    def _iterate(self, model: WithGradients, rows: Sequence[RowState]) -> None:
        """One iteration of every row (eq. 5-7), and the next c for rows that end a round."""
        deltas = [
            self._proximal_step(row, gradient)
            for row, gradient in zip(rows, self._autoencoder_gradients(rows), strict=True)
        ]
        points = deltas
        if self.momentum:
            points = [
                row.project(d + row.k / (row.k + 3) * (d - row.delta)) for row, d in zip(rows, deltas, strict=True)
            ]
        lead, hinge_gradients = self._leads_and_gradients(model, rows, points)
        if self.momentum:
            values = self._values(rows, deltas)
            lead = _leads_of(model.logits(values) if self.score == "logit" else model.probabilities(values), rows)
        successes = lead < -self.kappa
        for row, delta, point, hinge_gradient, success in zip(
            rows, deltas, points, hinge_gradients, successes, strict=True
        ):
            size = self._size(delta) if success else 0.0
            if size > 0:  # an unchanged image is no counterfactual, which `Rows.settled` says
                row.record_success(delta, size)
            row.move_to(delta, point, hinge_gradient, self.round_length)

    def _proximal_step(self, row: RowState, misfit_gradient: FloatArray | None) -> FloatArray:
        """The step down c f(y) + |y|^2 + gamma |AE(z) - z|^2, its soft threshold, and what of it is allowed."""
        slope = 2 * row.point
        if row.hinge_gradient is not None:
            slope += row.c * row.hinge_gradient
        if misfit_gradient is not None:
            slope += misfit_gradient
        step = np.clip(slope, -self.clip, self.clip, out=slope)
        step *= -self.learning_rate * math.sqrt(1 - row.k / self.max_iterations)
        step += row.point
        step -= np.clip(step, -self.beta, self.beta)
        return row.project(step)

    def _autoencoder_gradients(self, rows: Sequence[RowState]) -> Sequence[FloatArray | None]:
        """Gradient of gamma |AE(z) - z|^2 at y, in 0..1 colour."""
        if self.autoencoder is None:
            return [None] * len(rows)
        values = self._values(rows, [row.point for row in rows])
        gradients: list[FloatArray | None] = []
        for gradient in self.autoencoder.misfit_gradients(values, self.span):
            gradients.append(gradient * (self.gamma * self._scale))
        return gradients

    def _leads_and_gradients(
        self, model: WithGradients, rows: Sequence[RowState], points: Sequence[FloatArray]
    ) -> tuple[FloatArray, list[FloatArray | None]]:
        """(R,) lead, and the slope of each hinge max(0, kappa + lead), in 0..1 colour, None where it is 0."""
        targets = np.array([row.target for row in rows], np.int64)
        try:
            scores, gradients = model.margin_gradients(self._values(rows, points), targets, self.score)
        except NoGradient as error:
            raise CannotExplain(
                "CEM follows gradients, and none reaches the model's input; use occlusion instead"
            ) from error
        lead = _leads_of(scores, rows)
        return lead, [
            (-gradient if row.positive else gradient) * self._scale if over >= 0 else None
            for row, gradient, over in zip(rows, gradients, lead + self.kappa, strict=True)
        ]

    def _values(self, rows: Sequence[RowState], changes: Sequence[FloatArray]) -> FloatArray:
        """(R, H, W, C) in model input."""
        values = np.empty((len(rows), *rows[0].origin.shape), np.float32)
        for row, change, value in zip(rows, changes, values, strict=True):
            np.multiply(change, self._scale, out=value)
            value += row.origin
        return values

    @property
    def _scale(self) -> float | FloatArray:
        """The range of the model's input: one number, where all channels have the same."""
        return float(self.span[0]) if np.ptp(self.span) == 0 else self.span

    def _size(self, change: FloatArray) -> float:
        """beta |d|_1 + |d|_2^2."""
        numbers = change.ravel()
        return self.beta * float(abs(numbers).sum()) + float(numbers @ numbers)


def _leads_of(scores: FloatArray, rows: Sequence[RowState]) -> FloatArray:
    target, positive = np.array([row.target for row in rows], np.int64), np.array([row.positive for row in rows])
    return leads(scores, target, positive)


def leads(scores: FloatArray, target: IntArray, positive: npt.NDArray[np.bool_]) -> FloatArray:
    """By how much the class that should not win leads: below -kappa it is a counterfactual. (R, K) -> (R,).

    PN: s_t - max_{i != t} s_i. PP: the negative of it.
    """
    others, each = scores.copy(), np.arange(len(scores))
    others[each, target] = -np.inf
    margin = scores[each, target] - others.max(axis=1)
    return np.where(positive, -margin, margin)
