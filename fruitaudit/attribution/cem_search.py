"""The search behind the contrastive explanation method: FISTA over a stacked batch, with c searched for every row.

A row is one image in one mode, and knows nothing of the others: it has its own iteration, its own c, its own round of
the search for c, and leaves the batch when it is through. Colours are 0 (black) to 1 (white) here, whatever the
model's input range, so that the options mean the same for every model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.base import Model
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import FloatArray

NEVER = 1e10
"""A distance, or an upper end of c, that was not reached yet."""
_KNOWN = 1e9


class Rows(NamedTuple):
    """What is asked, (R, ...) each."""

    origin: Any
    """(R, H, W, C) in model input: what is changed, the image (PN) or the one without information (PP)."""
    room: Any
    """(R, H, W, C) in 0..1 colour: the image minus the one without information, i.e. what there is in the image."""
    positive: Any
    """(R,) bool: a PP is asked, else a PN."""
    target: Any
    """(R,) int64."""
    c: Any
    """(R,) the first c."""
    settled: Any
    """(R,) bool: nothing need be changed, so that there is nothing to search."""


class State(NamedTuple):
    """Where each row is. `best` and `distance` are the nearest find so far, `reached` the c it was found with."""

    delta: Any
    point: Any
    """y of the paper: `delta` carried on by its momentum."""
    k: Any
    c: Any
    lower: Any
    upper: Any
    hit: Any
    """(R,) bool: found with the present c."""
    best: Any
    distance: Any
    reached: Any
    rounds: Any
    iterations: Any
    forwards: Any


class Nearest(NamedTuple):
    """(R, ...) NumPy: the change in 0..1 colour, whether there is one, the c it was found with, and iterations."""

    change: FloatArray
    found: npt.NDArray[np.bool_]
    c: FloatArray
    iterations: FloatArray


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
    autoencoder: Any = None

    @property
    def round_length(self) -> int:
        """Iterations of one c: those whose step is long enough for a pixel to leave 0, a_k clip > beta; 1 at least."""
        shortest = self.beta / (self.learning_rate * self.clip)
        return max(1, math.ceil(self.max_iterations * (1 - min(shortest, 1) ** 2)))

    def __call__(self, model: Model, rows: Rows) -> Nearest:
        """Search all rows, as many at once as the model takes. Counts the passes."""
        run, settled = self._compiled(model), np.asarray(rows.settled)
        c, iterations = (np.full(len(settled), number, np.float32) for number in (np.nan, 0))
        nearest = Nearest(np.zeros_like(rows.origin), settled.copy(), c, iterations)
        inside, waiting = np.flatnonzero([]), np.flatnonzero(~settled)
        state = _started(_select(rows, inside))
        while len(inside) or len(waiting):
            free = max(model.batch_size - len(inside), 0)
            entering, waiting = waiting[:free], waiting[free:]
            inside, state = np.concatenate([inside, entering]), _joined(state, _started(_select(rows, entering)))
            state = run(_select(rows, inside), state)
            through = (state.rounds >= self.c_steps).numpy()
            left, leaving = inside[through], State(*(part[through].numpy() for part in state))
            found = leaving.distance < NEVER
            nearest.change[left], nearest.found[left] = leaving.best, found
            nearest.c[left], nearest.iterations[left] = np.where(found, leaving.reached, np.nan), leaving.iterations
            model.passes.gradient += int(leaving.iterations.sum())
            model.passes.forward += int(leaving.forwards.sum())
            inside, state = inside[~through], State(*(part[~through] for part in state))
        return nearest

    def _compiled(self, model: Model) -> Callable[[Rows, State], State]:
        """Iterates all rows until at least one of them is through."""
        from fruitaudit.models.backend import tf

        def run(rows: Rows, state: State) -> State:
            [state] = tf.while_loop(
                lambda state: ~tf.reduce_any(state.rounds >= self.c_steps),
                lambda state: [self._next(model, rows, state)],
                [state],
            )
            return state

        images, numbers = (tf.TensorSpec((None, *shape), tf.float32) for shape in (model.input_shape, ()))
        flags, targets = (tf.TensorSpec((None,), kind) for kind in (tf.bool, tf.int64))
        asked = Rows(images, images, flags, targets, numbers, flags)
        where = State(images, images, *(numbers,) * 4, flags, images, *(numbers,) * 5)
        return tf.function(run, input_signature=[asked, where], autograph=False, jit_compile=False)

    def _next(self, model: Model, rows: Rows, state: State) -> State:
        """One iteration of every row (eq. 5-7), and the next c for rows that end a round."""
        from fruitaudit.models.backend import tf

        rate = _wide(self.learning_rate * tf.sqrt(1 - state.k / self.max_iterations))
        slope = tf.clip_by_value(self._slope(model, rows, state), -self.clip, self.clip)
        moved = state.point - rate * slope
        shrunk = tf.sign(moved) * tf.maximum(abs(moved) - self.beta, 0)
        delta = self._allowed(rows, shrunk)
        momentum = _wide(state.k / (state.k + 3)) if self.momentum else 0.0
        point = self._allowed(rows, delta + momentum * (delta - state.delta))

        size = tf.reduce_sum(delta**2 + self.beta * abs(delta), (1, 2, 3))
        # An unchanged image is not asked about: whoever asks has done so. Nor is a change that no longer matters.
        asked = (size > 0) & (~state.hit | (size < state.distance))
        found = self._found(model, rows, delta, asked)
        nearer = found & (size < state.distance)
        hit = state.hit | found

        # Where nothing moved off the origin, nothing will: the slope is the same again, and the rate falls.
        stuck = ~tf.reduce_any((state.point != 0) | (point != 0), (1, 2, 3))
        over = stuck | (state.k + 1 >= self.round_length)
        lower = tf.where(over & ~hit, tf.maximum(state.lower, state.c), state.lower)
        upper = tf.where(over & hit, tf.minimum(state.upper, state.c), state.upper)
        following = tf.where(upper < _KNOWN, (lower + upper) / 2, state.c * 10)
        return State(
            delta=tf.where(_wide(over), 0.0, delta),
            point=tf.where(_wide(over), 0.0, point),
            k=tf.where(over, 0.0, state.k + 1),
            c=tf.where(over, following, state.c),
            lower=lower,
            upper=upper,
            hit=hit & ~over,
            best=tf.where(_wide(nearer), delta, state.best),
            distance=tf.where(nearer, size, state.distance),
            reached=tf.where(nearer, state.c, state.reached),
            rounds=state.rounds + tf.cast(over, tf.float32),
            iterations=state.iterations + 1,
            forwards=state.forwards + tf.cast(asked, tf.float32),
        )

    def _slope(self, model: Model, rows: Rows, state: State) -> Any:
        """Gradient of c f(y) + |y|^2 + gamma |AE - 1|^2 at y; c outside, where float16 cannot overflow."""
        from fruitaudit.models.backend import tf

        values = rows.origin + state.point * self.span
        excess = tf.maximum(self.kappa + self._lead(model, rows.positive, rows.target, values), 0)
        [attack] = tf.gradients(excess, values)
        if attack is None:
            raise CannotExplain("CEM follows gradients, and none reaches the model's input; use a perturbation method "
                                "such as occlusion")  # fmt: skip
        slope = _wide(state.c) * attack * self.span + 2 * state.point
        if self.autoencoder is not None:
            misfit = (self.autoencoder(values, training=False) - values) / self.span
            [pull] = tf.gradients(misfit**2, values)
            slope += self.gamma * pull * self.span
        return slope

    def _found(self, model: Model, rows: Rows, delta: Any, asked: Any) -> Any:
        """(R,) bool: what was asked about, and is what is looked for."""
        from fruitaudit.models.backend import tf

        def look() -> Any:
            which = tf.where(asked)
            some = Rows(*(tf.gather_nd(part, which) for part in rows))
            values = some.origin + tf.gather_nd(delta, which) * self.span
            lead = self._lead(model, some.positive, some.target, values)
            return tf.tensor_scatter_nd_update(tf.zeros_like(asked), which, lead < -self.kappa)

        return tf.cond(tf.reduce_any(asked), look, lambda: tf.zeros_like(asked))

    def _allowed(self, rows: Rows, delta: Any) -> Any:
        """Projection on what may change, pixel by pixel.

        PN: colours stay in 0..1 and move away from no information, or do not move. PP: no more than is in the image.
        """
        from fruitaudit.models.backend import tf

        positive, colour = _wide(rows.positive), (rows.origin - self.low) / self.span
        low = tf.where(positive, tf.minimum(rows.room, 0), -colour)
        high = tf.where(positive, tf.maximum(rows.room, 0), 1 - colour)
        delta = tf.clip_by_value(delta, low, high)
        return tf.where(positive | (abs(rows.room + delta) > abs(rows.room)), delta, 0.0)

    def _lead(self, model: Model, positive: Any, target: Any, values: Any) -> Any:
        """(R,) by how much the class that should not win leads: below -kappa is a find."""
        network = model.in_graph(values)
        return leads(network.probabilities if self.score == "probability" else network.logits, target, positive)


def leads(scores: Any, target: Any, positive: Any) -> Any:
    """PN: s_t - max_{i != t} s_i. PP: the negative of it. (R, K) -> (R,)."""
    from fruitaudit.models.backend import tf

    is_target = tf.one_hot(target, tf.shape(scores)[1], on_value=True, off_value=False)
    own = tf.reduce_max(tf.where(is_target, scores, tf.float32.min), 1)
    other = tf.reduce_max(tf.where(is_target, tf.float32.min, scores), 1)
    return tf.where(positive, other - own, own - other)


def _started(rows: Rows) -> State:
    from fruitaudit.models.backend import tf

    still, zeros = tf.zeros_like(rows.origin), tf.zeros_like(rows.c)
    never, no = tf.fill(tf.shape(rows.c), NEVER), tf.zeros_like(rows.positive)
    return State(still, still, zeros, rows.c, zeros, never, no, still, never, zeros, zeros, zeros, zeros)


def _select(rows: Rows, which: Any) -> Rows:
    from fruitaudit.models.backend import tf

    return Rows(*(tf.constant(part[which]) for part in rows))


def _joined(first: State, second: State) -> State:
    from fruitaudit.models.backend import tf

    return State(*(tf.concat(parts, 0) for parts in zip(first, second, strict=True)))


def _wide(numbers: Any) -> Any:
    """(R,) -> (R, 1, 1, 1)."""
    return numbers[:, None, None, None]
