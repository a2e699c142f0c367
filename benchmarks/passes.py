#!/usr/bin/env python3
"""The door to the network: what a pass through it costs over the same pass compiled by hand.

    python benchmarks/passes.py [--network chapter] [--batches 1 16 64] [--runs 30]

Logits and gradients of images that are already in memory. Both alternate; the ratio is the median of the runs. All
other ratios are taken over passes through this door.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from attribution import NETWORKS, photographs, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="chapter")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--runs", type=int, default=30)
    args = parser.parse_args()

    from fruitaudit.models.keras.backend import tf
    from fruitaudit.models.keras.classifier import Classifier

    network = NETWORKS[args.network]()
    model = Classifier.from_network(network, batch_size=max(args.batches))
    pictures, classes = tf.TensorSpec((None, *model.input_shape)), tf.TensorSpec((None,), tf.int64)

    @tf.function(input_signature=[pictures])
    def raw_forward(values: tf.Tensor) -> tf.Tensor:
        return network(values, training=False)

    @tf.function(input_signature=[pictures, classes])
    def raw_gradient(values: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        scores = tf.gather(network(values, training=False), targets, batch_dims=1)
        return tf.gradients(scores, values)[0]

    def compare(name: str, ours: Callable[..., Any], raw: Callable[..., Any], *arrays: Any) -> None:
        ours(*arrays), raw(*arrays)
        times = [(seconds(lambda: ours(*arrays)), seconds(lambda: raw(*arrays).numpy())) for _ in range(args.runs)]
        door, alone = 1000 * np.median(times, axis=0)
        ratio = np.median([one / other for one, other in times])
        print(f"{name:10} {len(arrays[0]):6} {door:8.2f} {alone:8.2f} {ratio:6.2f}", flush=True)

    print(f"{'pass':10} {'images':>6} {'door ms':>8} {'raw ms':>8} {'ratio':>6}")
    for batch in args.batches:
        images = photographs(batch, model.input_shape).values
        compare("logits", model.logits, raw_forward, images)
        compare("gradient", model.gradient, raw_gradient, images, np.zeros(batch, np.int64))


if __name__ == "__main__":
    main()
