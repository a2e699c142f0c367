"""Trains a reinitialised copy of a Keras network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fruitaudit.models.copies import TrainedCopy, Training
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.reinitialise import ReinitialisableCopy
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.runtime.streams import Streams

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier


def train_copy(
    classifier: Classifier,
    values: FloatArray,
    labels: IntArray,
    training: Training,
    streams: Streams,
    order: np.random.Generator,
    advance: Callable[[int], None],
) -> TrainedCopy:
    """See `models.base.WithCopies`."""
    network = ReinitialisableCopy(classifier, streams)
    copy = network.reinitialised(network.layers)
    copy.network.trainable = True
    step = _step(copy, keras.optimizers.Adam(training.learning_rate))
    accuracy, size = 0.0, training.batch_size
    for _ in range(training.epochs):
        rows = order.permutation(len(labels))
        for start in range(0, len(rows) - len(rows) % size or len(rows), size):
            batch = rows[start : start + size]
            step(values[batch], labels[batch])
        advance(1)
        accuracy = float((copy.logits(values).argmax(axis=1) == labels).mean())
        if accuracy >= training.target_accuracy:
            break
    return TrainedCopy(copy, accuracy)


def _step(classifier: Classifier, optimizer: Any) -> Callable[..., Any]:
    """One step of training, compiled."""
    variables = classifier.network.trainable_variables
    optimizer.build(variables)

    def run(images: Any, labels: Any) -> None:
        with tf.GradientTape() as tape:
            logits = classifier.head.read(classifier.network(images, training=True))[1]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    signature = [tf.TensorSpec((None, *classifier.input_shape), tf.float32), tf.TensorSpec((None,), tf.int64)]
    return tf.function(run, input_signature=signature, autograph=False)
