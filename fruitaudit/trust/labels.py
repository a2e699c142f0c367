"""Label randomization: do the maps change when the network learned nothing but the order of shuffled labels?

Paper: Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, arXiv:1810.03292, sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Callable

from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import WithScores, offering
from fruitaudit.models.copies import Training
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.passes import Passes
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams

TRAINING = Training(epochs=150, batch_size=32, learning_rate=1e-3, target_accuracy=0.95)
"""A network that has not learned the wrong labels shows nothing."""


def train_on_shuffled(
    model: WithScores,
    values: FloatArray,
    labels: IntArray,
    streams: Streams,
    *,
    advance: Callable[[int], None] = lambda done: None,
) -> WithScores | NotRun:
    """A copy of the network, reinitialised and trained on `values` (N, H, W, C) with shuffled `labels` (N,).

    NotRun where it has not learned enough of them by the end. `advance` is called with 1 after each epoch.
    Differs from the paper: as many images as the caller gives, a few hundred, instead of the whole training set.
    """
    order = streams.rng("trust", "labels")
    wrong_labels = order.permutation(labels)
    try:
        copy = offering(model, "copies").train_copy(values, wrong_labels, TRAINING, streams, order, advance)
    except CannotExplain as reason:
        return NotRun(str(reason), "not_applicable")
    if copy.accuracy >= TRAINING.target_accuracy:
        return copy.model
    return NotRun(f"after {TRAINING.epochs} epochs on {len(wrong_labels)} images with shuffled labels the copy knows "
                  f"{copy.accuracy:.0%} of them, and {TRAINING.target_accuracy:.0%} are needed",
                  "undecidable")  # fmt: skip


def cost(n_images: int) -> Passes:
    """At most: every epoch trains on the images and asks what has been learned."""
    return Passes(forward=TRAINING.epochs * n_images, gradient=TRAINING.epochs * n_images)
