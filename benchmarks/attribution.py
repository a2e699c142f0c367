#!/usr/bin/env python3
"""Each attribution method: wall time over that of the model passes it makes.

    python benchmarks/attribution.py [--images 16 32] [--model fruit_cnn.keras] [--runs 3]
    python benchmarks/attribution.py --network resnet50 --images 1 --samples 512

Without a model file, an untrained network: a CNN of the chapter's architecture (526,006 parameters, 100 x 100 x 3), or
MobileNetV2 or ResNet50 at 224 x 224. The passes of a method are replayed alone, on arrays that are already in memory,
in batches as large as the method's:

- full batches, by default
- one batch of all images, where the method makes at most four passes per image
- for CEM, the images that are still searched in each iteration

Method and replay alternate, so that both meet the same machine, `--runs` times and for at least 3 seconds. The ratio is
the median of the runs; the target is at most 1.25.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CLASSES = 16
SIDE = 100
AT_LEAST = 3.0
"""Seconds that the runs of a method and its replay take together: one of 15 ms alone says little."""


def chapter_cnn(side: int = SIDE) -> Any:
    """Four convolutions with pooling, and two dense layers; untrained."""
    from fruitaudit.models.keras.backend import keras

    keras.utils.set_random_seed(9)
    layers = keras.layers
    convolutions = [layer for k in (16, 32, 64, 128) for layer in (layers.Conv2D(k, 2, activation="relu"),
                                                                    layers.MaxPooling2D())]  # fmt: skip
    head = [layers.Flatten(), layers.Dense(150, activation="relu"), layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential([keras.Input((side, side, 3)), *convolutions, *head])


def at_224(name: str) -> Any:
    """A network of `keras.applications`, untrained."""
    from fruitaudit.models.keras.backend import keras

    keras.utils.set_random_seed(9)
    return getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3), classes=CLASSES)


NETWORKS: dict[str, Callable[[], Any]] = {
    "chapter": chapter_cnn,
    "mobilenet": lambda: at_224("MobileNetV2"),
    "resnet50": lambda: at_224("ResNet50"),
}


def photographs(n_images: int, shape: tuple[int, int, int]) -> Any:
    """Smooth random pictures in 0..1."""
    import cv2

    from fruitaudit.records.data import Images

    rng = np.random.default_rng(9)
    height, width, channels = shape
    small = rng.random((n_images, 12, 12, 3), dtype=np.float32)
    values = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in small])
    ends = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    return Images(np.clip(values, 0, 1), tuple(f"photo/{i}" for i in range(n_images)), *ends)


def with_references(method: Any, n_images: int, shape: tuple[int, int, int]) -> Any:
    """Photographs, with as many reference images as the method needs."""
    from fruitaudit.attribution.base import background_of
    from fruitaudit.records.data import Background

    images, n_references = photographs(n_images, shape), background_of(method)
    if not n_references:
        return images
    references = photographs(n_references, shape)
    labels = np.arange(n_references) % CLASSES
    return replace(images, background=Background(references.values, labels, references.sample_ids, n_references))


def limited(method: Any, samples: int, shape: tuple[int, int, int]) -> Any:
    """The method with at most `samples` samples per image; Score-CAM always takes one per channel."""
    default, name = method(), method.registration.name
    if name == "cem":  # PN and PP
        return method(c_steps=5, max_iterations=max(samples // 10, 1))
    if name == "occlusion":
        patches = (method(patch=side) for side in range(default.patch, min(shape[:2]), 4))
        return next(
            (candidate for candidate in patches if candidate.model_passes(1, shape).forward <= samples + 1), default
        )
    for option in ("samples", "reference_images"):
        if getattr(default, option, 0) > samples:
            return method(**{option: samples})
    return default


def replay(run: Callable[[Any, Any], Any], n_passes: int, batch: int, values: Any, classes: Any) -> None:
    """`n_passes` images through `run`, `batch` at a time."""
    for start in range(0, n_passes, batch):
        size = min(batch, n_passes - start)
        run(values[:size], classes[:size])


def rows_searched(explanation: Any) -> list[int]:
    """Number of PN and PP searched at once: in the first gradient, and in each iteration."""
    iterations = np.concatenate([explanation.diagnostics["pn_iterations"], explanation.diagnostics["pp_iterations"]])
    return [int((iterations >= max(k, 1)).sum()) for k in range(int(iterations.max()) + 1)]


def seconds(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def measure(model: Any, method: Any, n_images: int, runs: int) -> tuple[int, float, float, float]:
    """Passes, median seconds of the method, of its passes alone, and of their ratio."""
    from fruitaudit.attribution import superpixels
    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime.streams import Streams

    images = with_references(method, n_images, model.input_shape)
    targets = Targets(model.probabilities(images.values).argmax(axis=1))
    values = photographs(model.batch_size, model.input_shape).values
    classes = np.zeros(model.batch_size, np.int64)
    # A class activation map needs the gradient at its layer, not at the input.
    layer = model.cam_layer if method.registration.family == "cam" else None
    gradient = model.gradient if layer is None else (lambda v, c: model.layer_gradients(v, c, layer))

    def explain() -> Any:
        superpixels.image_superpixels.cache_clear()
        return method(model, images, targets, Streams(9))

    def floor() -> None:
        replay(lambda v, _: model.scores(v), passes.forward, batch, values, classes)
        for n_passes in searched or [passes.gradient]:
            replay(gradient, n_passes, batch, values, classes)

    before = model.passes.snapshot()
    explanation = explain()
    passes = model.passes.since(before)
    searched = rows_searched(explanation) if method.registration.family == "counterfactual" else []
    few = passes.forward + passes.gradient <= 4 * n_images
    batch = min(n_images, model.batch_size) if few else model.batch_size
    floor()
    times: list[tuple[float, float]] = []
    while len(times) < runs or np.sum(times) < AT_LEAST:
        times.append((seconds(explain), seconds(floor)))
    ratio = float(np.median([took / alone for took, alone in times]))
    return (passes.forward + passes.gradient, *np.median(times, axis=0).tolist(), ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--network", choices=NETWORKS, default="chapter")
    parser.add_argument("--batch", type=int, default=64, help="maximum batch size, of the method and of the replay")
    parser.add_argument("--samples", type=int, help="no method takes more samples than this")
    args = parser.parse_args()

    from fruitaudit.attribution.registry import native_methods
    from fruitaudit.errors import CannotExplain
    from fruitaudit.models.keras.classifier import Classifier, open_classifier

    model = open_classifier(args.model) if args.model else Classifier.from_network(NETWORKS[args.network]())
    model.batch_size = args.batch
    print(f"{'method':22} {'images':>6} {'passes':>7} {'method s':>9} {'passes s':>9} {'ratio':>6}")
    for name, method in native_methods().items():
        if (args.methods and name not in args.methods) or method.registration.subject == "model":
            continue
        if method.registration.family == "control":  # no pass to hold it against
            continue
        configured = limited(method, args.samples, model.input_shape) if args.samples else method()
        for n_images in args.images:
            try:
                total, took, alone, ratio = measure(model, configured, n_images, args.runs)
            except CannotExplain as reason:
                print(f"{name:22} {reason}")
                break
            print(f"{name:22} {n_images:6} {total:7} {took:9.3f} {alone:9.3f} {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
