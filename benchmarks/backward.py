#!/usr/bin/env python3
"""The methods with backward rules: wall time over that of plain gradients, and DeepSHAP against shap.

    python benchmarks/backward.py [--images 23] [--background 100] [--model fruit_cnn.keras] [--runs 3] [--shap 1]

Without a model file, an untrained CNN of the chapter's architecture. The passes that each method announces are replayed
as compiled forward and gradient passes of the same batches; method and replay alternate, and the ratio is the median
of the runs. `--shap N`: also N images by shap's DeepExplainer in this process, all classes, its check left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

import numpy as np
from attribution import chapter_cnn, photographs, replay, seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def methods(background):
    from fruitaudit.attribution.deconvolution import Deconvolution
    from fruitaudit.attribution.deep_lift import DeepLift
    from fruitaudit.attribution.deep_shap import DeepShap
    from fruitaudit.attribution.guided_backprop import GuidedBackprop
    from fruitaudit.attribution.lrp import Lrp

    return {
        "guided_backprop": GuidedBackprop(),
        "deconvolution": Deconvolution(),
        "deep_lift": DeepLift(),
        "lrp": Lrp(),
        "lrp, epsilon everywhere": Lrp(convolution="epsilon", first="epsilon"),
        "deep_shap": DeepShap(background=background),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=23)
    parser.add_argument("--background", type=int, default=100)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shap", type=int, default=0)
    args = parser.parse_args()

    from fruitaudit.models.classifier import Classifier, open_classifier
    from fruitaudit.records.data import Background
    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime import Streams

    model = open_classifier(args.model) if args.model else Classifier.from_network(chapter_cnn())
    every = photographs(args.images + args.background, model.input_shape)
    images, known = every.select(slice(0, args.images)), every.values[args.images :]
    background = Background(known, np.zeros(len(known), np.int64), every.sample_ids[args.images :], len(known))
    images = dataclasses.replace(images, background=background)
    targets = Targets(model.probabilities(images.values).argmax(axis=1))
    values, classes = photographs(model.batch_size, model.input_shape).values, np.zeros(model.batch_size, np.int64)

    print(f"{'method':24} {'passes':>7} {'method s':>9} {'passes s':>9} {'ratio':>6}")
    for name, method in methods(args.background).items():
        passes = method.model_passes(args.images, model.input_shape)

        def floor(passes=passes):
            replay(lambda v, _: model.scores(v), passes.forward, model.batch_size, values, classes)
            replay(model.gradient, passes.gradient, model.batch_size, values, classes)

        def explain(method=method):
            method(model, images, targets, Streams(9))

        floor()
        explain()
        times = np.array([(seconds(explain), seconds(floor)) for _ in range(args.runs)])
        took, alone = np.median(times, axis=0)
        ratio = np.median(times[:, 0] / times[:, 1])
        print(f"{name:24} {passes.forward + passes.gradient:7} {took:9.3f} {alone:9.3f} {ratio:6.2f}", flush=True)
    if args.shap:
        import shap

        theirs = shap.DeepExplainer(model.network, known)
        some = images.values[: args.shap]
        theirs.shap_values(some[:1], check_additivity=False)
        took_shap = seconds(lambda: theirs.shap_values(some, check_additivity=False)) / args.shap
        classes = model.n_classes
        print(f"shap, seconds an image: {took_shap:.3f} for all {classes} classes, {took_shap / classes:.3f} for one; "
              f"ours {took / args.images:.3f} for one")  # fmt: skip


if __name__ == "__main__":
    main()
