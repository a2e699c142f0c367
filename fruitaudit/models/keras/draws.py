"""Models that answer differently when they are asked twice: found by asking, and audited on the mean of several draws.

Gradients and activations are those of one draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fruitaudit.models.keras import heads
from fruitaudit.records.data import FloatArray
from fruitaudit.records.model import Variation

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier

DRAWS = 10
_SAME = {4: 1e-4, 2: 1e-2}
"""By bytes of a number: difference of logits, relative to the largest, up to which two answers are the same one."""


def variation_of(model: Classifier) -> Variation | None:
    """How much the answers vary; None where the same images get the same answer."""
    if found := _measured(model, model.scores_in_graph, "always"):
        return found
    if not _trains_in_use(model.network):
        return None
    # Keras hands `training=False` of `predict` down to layers that the model's maker switched on for good.
    called = model.compiled(lambda images: model.head.read(model.network(images)))
    with _restored(model.network):
        return _measured(model, called, "called")


def mean_scores(draws: Iterable[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """(probabilities, logits) of the mean of probabilities (N, K); the logits are its logarithm."""
    mean: FloatArray = np.stack(list(draws)).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean, np.log(np.maximum(mean, heads.TINY))


def _measured(model: Classifier, ask: Callable[..., Any], where: Literal["always", "called"]) -> Variation | None:
    def draw() -> tuple[FloatArray, FloatArray]:
        probabilities, logits = heads.on_probe(ask, model.input_shape, model.memory_needs.image)
        return probabilities.numpy(), logits.numpy()

    (first, logits), (second, other_logits) = draw(), draw()
    finite = np.isfinite(logits).all(axis=1) & np.isfinite(other_logits).all(axis=1)
    size = np.abs(logits[finite]).max(initial=1.0)
    half = "16" in str(model.network.dtype_policy.compute_dtype)
    if np.abs(logits - other_logits)[finite].max(initial=0.0) <= size * _SAME[2 if half else 4]:
        return None
    answers = np.stack([first, second, *(draw()[0] for _ in range(DRAWS - 2))])[:, finite]
    best = answers.argmax(axis=2)
    return Variation(where, DRAWS, float(answers.std(axis=0).max()), int((best != best[0]).any(axis=0).sum()),
                     int(finite.sum()))  # fmt: skip


def _trains_in_use(network: Any) -> bool:
    """Whether a layer of the network was called with `training=True` when it was put together."""
    waiting: list[Any] = []
    with suppress(NotImplementedError):  # subclassed models describe nothing
        waiting = [network.get_config()]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            kwargs = item.get("kwargs")
            if isinstance(kwargs, dict) and kwargs.get("training") is True:
                return True
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
    return False


@contextmanager
def _restored(network: Any) -> Iterator[None]:
    """Undo what layers in training write: statistics of normalization."""
    before = [np.array(variable) for variable in network.non_trainable_variables]
    try:
        yield
    finally:
        for variable, value in zip(network.non_trainable_variables, before, strict=True):
            variable.assign(value)
