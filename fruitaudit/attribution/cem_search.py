"""The search behind the contrastive explanation method: FISTA over a stacked batch, with c searched for every row.

A row is one image in one mode, and knows nothing of the others: it has its own iteration, its own c, its own round of
the search for c, and leaves the batch when it is through. Colours are 0 (black) to 1 (white) here, whatever the
model's input range, so that the options mean the same for every model.

One gradient pass answers both questions about an iterate: is it a find, and which way does the next step go? With
momentum they are asked at two places, and a find takes a forward pass more. Beside the passes there are only sums,
products and clips, since TensorFlow chooses between two pictures (`tf.where`) ten times as slowly as it adds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal

import numpy as np

from fruitaudit.attribution.base import Model
from fruitaudit.attribution.cem_rows import Ground, Nearest, Rows, State
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.graphs import compiled
from fruitaudit.records.data import FloatArray

NEVER = 1e10
"""A distance, or an upper end of c, that was not reached yet."""
_KNOWN = 1e9


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
        (begin, run), settled = self._compiled(model), np.asarray(rows.settled)
        c, iterations = (np.full(len(settled), number, np.float32) for number in (np.nan, 0))
        nearest = Nearest(np.zeros_like(rows.origin), settled.copy(), c, iterations)
        inside, waiting, present = np.flatnonzero([]), np.flatnonzero(~settled), list[tuple[Ground, State]]()
        while len(inside) or len(waiting):
            free = max(model.batch_size - len(inside), 0)
            entering, waiting = waiting[:free], waiting[free:]
            if len(entering):
                present.append(begin(Rows(*(part[entering] for part in rows))))
                model.passes.gradient += len(entering)
            inside = np.concatenate([inside, entering])
            # Rows come and go in NumPy, which picks and joins small parts in a hundredth of TensorFlow's time.
            ground, state = (type(many[0])(*map(np.concatenate, zip(*many, strict=True)))
                             for many in zip(*present, strict=True))  # fmt: skip
            state = State(*map(np.asarray, run(ground, state)))
            through = state.rounds >= self.c_steps
            left, leaving = inside[through], _picked(state, through)
            found = leaving.distance < NEVER
            nearest.change[left], nearest.found[left] = leaving.best, found
            nearest.c[left], nearest.iterations[left] = np.where(found, leaving.reached, np.nan), leaving.iterations
            made = int(leaving.iterations.sum())
            model.passes.gradient += made
            model.passes.forward += made * self.momentum
            inside, present = inside[~through], [(_picked(ground, ~through), _picked(state, ~through))]
        return nearest

    def _compiled(self, model: Model) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The beginning of rows; and iterations of all rows until at least one of them is through."""
        from fruitaudit.models.keras.backend import tf

        def run(alive: Model, ground: Ground, state: State) -> State:
            # A graph of its own: among the rest of a loop TensorFlow finds its fast gradient of pooling by chance only.
            apart = {"_noinline": True}
            follow = tf.function(partial(self._next, alive, ground), autograph=False, experimental_attributes=apart)
            [state] = tf.while_loop(
                lambda state: ~tf.reduce_any(state.rounds >= self.c_steps), lambda state: [follow(state)], [state]
            )
            return state

        options = (getattr(self, field.name) for field in fields(self))
        key = tuple(one.tobytes() if isinstance(one, np.ndarray) else one for one in options)
        images, numbers = (tf.TensorSpec((None, *shape), tf.float32) for shape in (model.input_shape, ()))
        flags, targets = (tf.TensorSpec((None,), kind) for kind in (tf.bool, tf.int64))
        asked = Rows(images, images, flags, targets, numbers, flags)
        stands = Ground(*(images,) * 5, flags, targets)
        where = State(*(images,) * 3, *(numbers,) * 4, *(flags,) * 2, images, *(numbers,) * 4)
        return (
            compiled(model, ("cem begins", key), self._begun, asked),
            compiled(model, ("cem", key), run, stands, where),
        )

    def _begun(self, model: Model, rows: Rows) -> tuple[Ground, State]:
        """PN: colours stay in 0..1 and move away from no information, or not at all. PP: no more than the image has."""
        from fruitaudit.models.keras.backend import tf

        positive, colour = _wide(rows.positive), (rows.origin - self.low) / self.span
        still, zeros = tf.zeros_like(rows.origin), tf.zeros_like(rows.c)
        ground = Ground(
            origin=rows.origin,
            low=tf.where(positive, tf.minimum(rows.room, 0), -colour),
            high=tf.where(positive, tf.maximum(rows.room, 0), 1 - colour),
            twice=tf.where(positive, 0.0, 2 * rows.room),
            attack=still,
            positive=rows.positive,
            target=rows.target,
        )
        _, attack = self._judged(model, ground, still)
        never, no = tf.fill(tf.shape(rows.c), NEVER), tf.zeros_like(rows.positive)
        state = State(still, still, attack, zeros, rows.c, zeros, never, no, ~no, still, never, zeros, zeros, zeros)
        return ground._replace(attack=attack), state

    def _next(self, model: Model, ground: Ground, state: State) -> State:
        """One iteration of every row (eq. 5-7), and the next c for rows that end a round."""
        from fruitaudit.models.keras.backend import tf

        rate = _wide(self.learning_rate * tf.sqrt(1 - state.k / self.max_iterations))
        moved = state.point - rate * _within(self._slope(ground, state), -self.clip, self.clip)
        delta = point = _allowed(ground, moved - _within(moved, -self.beta, self.beta))
        if self.momentum:
            point = _allowed(ground, delta + _wide(state.k / (state.k + 3)) * (delta - state.delta))
        lead, attack = self._judged(model, ground, point)
        if self.momentum:
            lead = self._lead(model, ground, self._values(ground, delta))

        size = self._size(delta)
        found = (size > 0) & (lead < -self.kappa)  # an unchanged image is no find: whoever asks has looked at it
        nearer = found & (size < state.distance)
        hit = state.hit | found

        # Where nothing moved off the origin, nothing will: the slope is the same again, and the rate falls.
        still = self._size(point) == 0
        over = (state.still & still) | (state.k + 1 >= self.round_length)
        lower = tf.where(over & ~hit, tf.maximum(state.lower, state.c), state.lower)
        upper = tf.where(over & hit, tf.minimum(state.upper, state.c), state.upper)
        following = tf.where(upper < _KNOWN, (lower + upper) / 2, state.c * 10)
        best = tf.cond(tf.reduce_any(nearer), lambda: _of_rows(nearer, delta, state.best), lambda: state.best)

        def begun_again() -> tuple[Any, Any, Any]:
            going_on = _wide(tf.cast(~over, tf.float32))
            return delta * going_on, point * going_on, _of_rows(over, ground.attack, attack)

        delta, point, attack = tf.cond(tf.reduce_any(over), begun_again, lambda: (delta, point, attack))
        return State(
            delta=delta,
            point=point,
            attack=attack,
            k=tf.where(over, 0.0, state.k + 1),
            c=tf.where(over, following, state.c),
            lower=lower,
            upper=upper,
            hit=hit & ~over,
            still=still | over,
            best=best,
            distance=tf.where(nearer, size, state.distance),
            reached=tf.where(nearer, state.c, state.reached),
            rounds=state.rounds + tf.cast(over, tf.float32),
            iterations=state.iterations + 1,
        )

    def _slope(self, ground: Ground, state: State) -> Any:
        """Gradient of c f(y) + |y|^2 + gamma |AE(z) - z|^2 at y; c outside, where float16 cannot overflow."""
        from fruitaudit.models.keras.backend import tf

        slopes = [_wide(state.c) * state.attack, state.point, state.point]
        if self.autoencoder is not None:
            values = self._values(ground, state.point)
            made = tf.cast(self.autoencoder(values, training=False), tf.float32)
            misfit = (made - values) * (2 * self.gamma / self._scale)
            [pull] = tf.gradients(made, values, misfit / self._scale)
            slopes += [pull * self._scale, -misfit]
        return tf.add_n(slopes)

    def _judged(self, model: Model, ground: Ground, point: Any) -> tuple[Any, Any]:
        """(R,) lead and the slope of the hinge max(0, kappa + lead), in 0..1 colour."""
        from fruitaudit.models.keras.backend import tf

        values = self._values(ground, point)
        lead = self._lead(model, ground, values)
        [attack] = tf.gradients(tf.maximum(self.kappa + lead, 0), values)
        if attack is None:
            raise CannotExplain("CEM follows gradients, and none reaches the model's input; use occlusion instead")
        return lead, attack * self._scale

    def _lead(self, model: Model, ground: Ground, values: Any) -> Any:
        """(R,) by how much the class that should not win leads: below -kappa is a find."""
        network = model.in_graph(values)
        scores = network.probabilities if self.score == "probability" else network.logits
        return leads(scores, ground.target, ground.positive)

    def _values(self, ground: Ground, change: Any) -> Any:
        """(R, H, W, C) in model input."""
        return ground.origin + change * self._scale

    @property
    def _scale(self) -> Any:
        """The range of the model's input: one number, where all channels have the same."""
        return float(self.span[0]) if np.ptp(self.span) == 0 else self.span

    def _size(self, change: Any) -> Any:
        """(R,) beta |d|_1 + |d|_2^2."""
        from fruitaudit.models.keras.backend import tf

        return tf.reduce_sum(abs(change) * (abs(change) + self.beta), (1, 2, 3))


def _picked(parts: Any, which: Any) -> Any:
    return type(parts)(*(part[which] for part in parts))


def leads(scores: Any, target: Any, positive: Any) -> Any:
    """PN: s_t - max_{i != t} s_i. PP: the negative of it. (R, K) -> (R,)."""
    from fruitaudit.models.keras.backend import tf

    is_target = tf.one_hot(target, tf.shape(scores)[1], on_value=True, off_value=False)
    own = tf.reduce_max(tf.where(is_target, scores, tf.float32.min), 1)
    other = tf.reduce_max(tf.where(is_target, tf.float32.min, scores), 1)
    return tf.where(positive, other - own, own - other)


def _allowed(ground: Ground, delta: Any) -> Any:
    """Projection on what may change, number by number."""
    from fruitaudit.models.keras.backend import tf

    delta = _within(delta, ground.low, ground.high)
    return tf.raw_ops.ReluGrad(gradients=delta, features=delta * (ground.twice + delta))


def _within(values: Any, low: Any, high: Any) -> Any:
    from fruitaudit.models.keras.backend import tf

    return tf.raw_ops.ClipByValue(t=values, clip_value_min=low, clip_value_max=high)


def _of_rows(which: Any, some: Any, others: Any) -> Any:
    """Whole rows of the one, else of the other: (R,) bool, (R, H, W, C) twice."""
    from fruitaudit.models.keras.backend import tf

    return tf.raw_ops.Select(condition=which, x=some, y=others)


def _wide(numbers: Any) -> Any:
    """(R,) -> (R, 1, 1, 1)."""
    return numbers[:, None, None, None]
