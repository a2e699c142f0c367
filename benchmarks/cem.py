#!/usr/bin/env python3
"""Contrastive explanations: time over that of the passes made, and against alibi with equal parameters.

    python benchmarks/cem.py [--photos FOLDER] [--model fruit_cnn.keras] [--autoencoder autoencoder.keras] [--images 6]
                             [--alibi PYTHON] [--set c_steps=3 ...]

Without a model, an untrained CNN of the chapter's architecture. Without photographs, smooth random pictures, half of
them as no-information background. The floor is the iterations' gradients (and the autoencoder's) in one compiled
function of the same batch, and the forward passes. CPU seconds are printed too, because other processes change them
less. alibi's seconds include its start, which is paid once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pictures(folder: Path | None, n_images: int, shape: tuple[int, int, int]) -> Any:
    """Images with a background of as many others."""
    import cv2
    from attribution import photographs

    from fruitaudit.records.data import Background

    both = photographs(2 * n_images, shape)
    if folder is not None:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        chosen = [files[i] for i in np.random.default_rng(0).permutation(len(files))[: 2 * n_images]]
        size = shape[1], shape[0]
        resized = [cv2.resize(cv2.imread(str(file))[..., ::-1], size, interpolation=cv2.INTER_AREA) for file in chosen]
        both = dataclasses.replace(both, values=np.stack(resized).astype(np.float32) / 255)
    images, references = both.select(slice(n_images)), both.select(slice(n_images, None))
    background = Background(
        references.values, np.zeros(len(references), np.int64), references.sample_ids, len(references)
    )
    return dataclasses.replace(images, background=background)


def seconds(run: Callable[[], Any], who: int = resource.RUSAGE_SELF) -> tuple[Any, float, float]:
    """What it returned, wall seconds, CPU seconds."""
    used, begin = resource.getrusage(who), time.perf_counter()
    result = run()
    wall, after = time.perf_counter() - begin, resource.getrusage(who)
    return result, wall, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def floor(model: Any, autoencoder: Any, images: Any, passes: Any) -> Callable[[], None]:
    """The passes of the search alone, in batches of all images and both modes."""
    from fruitaudit.models.keras.backend import tf

    def gradients(values: Any) -> Any:
        scores = tf.reduce_sum(tf.reduce_max(model.in_graph(values).logits, 1))
        if autoencoder is not None:
            scores += tf.reduce_sum((autoencoder(values, training=False) - values) ** 2)
        return tf.gradients(scores, values)

    signature = [tf.TensorSpec((None, *model.input_shape), tf.float32)]
    run = tf.function(gradients, input_signature=signature, autograph=False)
    batch = tf.constant(np.concatenate([images.values] * 2))
    run(batch)

    def passes_alone() -> None:
        for _ in range(passes.gradient // len(batch)):
            run(batch)
        for _ in range(passes.forward // len(batch)):
            model.probabilities(batch.numpy())

    return passes_alone


def print_row(name: str, wall: float, cpu: float, result: Any = None) -> None:
    line = f"{name:10} {wall:8.1f} s wall {cpu:8.1f} s CPU"
    for part in result.parts if result else ():
        l1 = result.diagnostics[f"{part.mode.lower()}_l1"]
        says = sum(map(bool, part.vacuous))
        median = f", median L1 {np.nanmedian(l1):.1f}" if part.found.any() else ""
        line += f"   {part.mode} {part.found.sum()}/{len(part.found)} ({says} vacuous){median}"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--autoencoder")
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--alibi", type=Path, help="an interpreter that has alibi")
    parser.add_argument("--set", nargs="*", default=[], help="options of the method, name=JSON")
    args = parser.parse_args()

    from attribution import chapter_cnn

    from fruitaudit.attribution.cem_autoencoder import fitting_autoencoder
    from fruitaudit.attribution.methods.cem import Cem
    from fruitaudit.models.keras.classifier import Classifier, open_classifier
    from fruitaudit.providers.alibi import CemByAlibi
    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime.streams import Streams

    model = open_classifier(args.model) if args.model else Classifier.from_network(chapter_cnn())
    images = pictures(args.photos, args.images, model.input_shape)
    targets = Targets(model.probabilities(images.values).argmax(axis=1))
    options = {"autoencoder": args.autoencoder} | {k: json.loads(v) for k, v in (o.split("=") for o in args.set)}
    autoencoder = fitting_autoencoder(args.autoencoder, model, images)[0].network if args.autoencoder else None

    before = model.passes.snapshot()
    result, *took = seconds(lambda: Cem(**options)(model, images, targets, Streams(9)))
    passes = model.passes.since(before)
    print_row("native", *took, result)
    _, *alone = seconds(floor(model, autoencoder, images, passes))
    print_row("its passes", *alone)
    print(f"{passes}: {took[0] / alone[0]:.2f} of their wall time, {took[1] / alone[1]:.2f} of their CPU time")
    if args.alibi:
        theirs = CemByAlibi.bound_to(args.alibi)(**options)
        result, *others = seconds(lambda: theirs(model, images, targets, Streams(9)), resource.RUSAGE_CHILDREN)
        print_row("alibi", *others, result)
        print(f"alibi takes {others[0] / took[0]:.1f} times as long, {others[1] / took[1]:.1f} times the CPU")


if __name__ == "__main__":
    main()
