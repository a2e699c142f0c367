"""Label randomization: do the maps change when the network learned nothing but the order of shuffled labels?

Paper: Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, arXiv:1810.03292, sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.passes import Passes
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.redraw import RedrawableNetwork

LEARNED = 0.95
EPOCHS, BATCH = 150, 32


def train_on_shuffled(
    classifier: Classifier,
    values: FloatArray,
    labels: IntArray,
    streams: Streams,
    *,
    advance: Callable[[int], None] = lambda done: None,
) -> Classifier | NotRun:
    """A copy of the network, drawn anew and trained on `values` (N, H, W, C) with shuffled `labels` (N,).

    Adam, learning rate 0.001, batches of 32, until the training accuracy is at least 95 %; NotRun where it is not
    after 150 epochs, because a network that has not learned the wrong labels shows nothing. `advance` is called with 1
    after each epoch.
    Differs from the paper: as many images as the caller gives, a few hundred, instead of the whole training set.
    """
    from fruitaudit.models.keras.backend import keras

    try:
        network = RedrawableNetwork(classifier, streams)
    except CannotExplain as reason:
        return NotRun(str(reason))
    copy = network.redrawn(network.layers)
    copy.network.trainable = True
    rng = streams.rng("trust", "labels")
    wrong = rng.permutation(labels)
    step = _step(copy, keras.optimizers.Adam(1e-3))
    learned = 0.0
    for _ in range(EPOCHS):
        order = rng.permutation(len(wrong))
        for start in range(0, len(order) - len(order) % BATCH or len(order), BATCH):
            rows = order[start : start + BATCH]
            step(values[rows], wrong[rows])
        advance(1)
        learned = float((copy.logits(values).argmax(axis=1) == wrong).mean())
        if learned >= LEARNED:
            return copy
    return NotRun(f"after {EPOCHS} epochs on {len(wrong)} images with shuffled labels the copy knows {learned:.0%} of "
                  f"them, and {LEARNED:.0%} are needed")  # fmt: skip


def cost(n_images: int) -> Passes:
    """At most: every epoch trains on the images and asks what has been learned."""
    return Passes(forward=EPOCHS * n_images, gradient=EPOCHS * n_images)


def _step(classifier: Classifier, optimizer: Any) -> Callable[..., Any]:
    """One step of training, compiled."""
    from fruitaudit.models.keras.backend import tf

    variables = classifier.network.trainable_variables
    optimizer.build(variables)

    def run(images: Any, labels: Any) -> None:
        with tf.GradientTape() as tape:
            logits = classifier.head.read(classifier.network(images, training=True))[1]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    signature = [tf.TensorSpec((None, *classifier.input_shape), tf.float32), tf.TensorSpec((None,), tf.int64)]
    return tf.function(run, input_signature=signature, autograph=False)
