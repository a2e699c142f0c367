"""Runs alibi's IntegratedGradients on equal networks: `python alibi_gradients_child.py FOLDER`, where alibi is.

The folder holds `arrays.npz`, made by test_alibi_integrated_gradients.py: images, classes, and weights by head;
afterwards also `found.npz` with attributions (N, H, W, C) and deltas (N,) of each head.
"""

import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from alibi.explainers import IntegratedGradients

ACTIVATIONS = {"logits": None, "sigmoid": "sigmoid"}


def network(shape, weights, activation):
    explanation = tf.keras.Sequential([
        tf.keras.layers.InputLayer(shape), tf.keras.layers.Conv2D(4, 3, activation="softplus"),
        tf.keras.layers.Flatten(), tf.keras.layers.Dense(weights[-1].shape[0], activation=activation),
    ])  # fmt: skip
    explanation.set_weights(weights)
    return explanation


def main(folder):
    arrays, results = dict(np.load(folder / "arrays.npz")), {}
    x = arrays["images"]
    for head, activation in ACTIVATIONS.items():
        model = network(x.shape[1:], [arrays[f"{head}/{i}"] for i in range(4)], activation)
        for k in (0, 1):
            explanation = IntegratedGradients(model, n_steps=50).explain(x, target=np.full(len(x), k))
            results |= {f"{head}/{k}/maps": explanation.attributions[0], f"{head}/{k}/deltas": explanation.deltas}
    np.savez(folder / "found.npz", **results)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
