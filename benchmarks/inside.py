#!/usr/bin/env python3
"""Methods that look inside the network, against the same by tf-keras-vis with equal parameters, in one run.

    python benchmarks/inside.py [--model fruit_cnn.keras] [--filters 1] [--steps 200] [--images 8]

Without a model file, an untrained CNN of the chapter's architecture. Activation maximization: seconds per unit, over
the filters asked for and as many class neurons, and the floor of the gradient passes alone. The library takes one unit
per call, so a few are enough. Score-CAM: seconds per image. CPU seconds are reliable on a machine that others use too.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROW = "{:46} {:>6} {:>9} {:>9}"


def clocked(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it returned, wall seconds, CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def print_row(what: str, n: int, wall: float, cpu: float) -> None:
    print(ROW.format(what, n, f"{wall / n:.3f}", f"{cpu / n:.3f}"), flush=True)


def maximization(model: Any, images: Any, filters: int, steps: int) -> None:
    """Both libraries on the same few units, and the native one on 64 filters."""
    from fruitaudit.attribution.methods.activation_maximization import ActivationMaximization
    from fruitaudit.providers.tf_keras_vis_maximization import ActivationMaximizationByTfKerasVis
    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime.streams import Streams

    empty, few = Targets(np.zeros(0, np.int64)), {"filters": filters, "classes": filters, "steps": steps}
    cases = {
        "native, fourier, 64 filters": ActivationMaximization(filters=16, classes=0, steps=steps),
        "native, pixel, 64 filters": ActivationMaximization(
            filters=16, classes=0, steps=steps, parameterization="pixel"
        ),
        "native, fourier, few": ActivationMaximization(**few),
        "tf-keras-vis, few": ActivationMaximizationByTfKerasVis(**few),
    }
    for name, method in cases.items():
        result, wall, cpu = clocked(lambda m=method: m(model, images, empty, Streams(9)))
        print_row(f"activation maximization: {name}", len(result.units), wall, cpu)
        reached = result.reached / np.where(result.strongest == 0, np.nan, np.abs(result.strongest))
        print(f"    reached, in units of the strongest real image: median {np.nanmedian(reached):.2f}")
    values = images.background.values[:64]
    _, wall, cpu = clocked(lambda: model.gradient(values, np.zeros(len(values), np.int64)))
    print_row(f"floor: {steps} gradient passes per unit", len(values), wall * steps, cpu * steps)


def score_cam(model: Any, images: Any) -> None:
    from fruitaudit.attribution.methods.score_cam import ScoreCam
    from fruitaudit.providers.tf_keras_vis import ScoreCamByTfKerasVis
    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime.streams import Streams

    targets = Targets(model.probabilities(images.values).argmax(axis=1))
    for name, method in {"native": ScoreCam(), "tf-keras-vis": ScoreCamByTfKerasVis()}.items():
        method(model, images.select(slice(0, 1)), targets.select(slice(0, 1)), Streams(9))
        _, wall, cpu = clocked(lambda m=method: m(model, images, targets, Streams(9)))
        print_row(f"Score-CAM: {name}", len(images), wall, cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--filters", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--images", type=int, default=8)
    args = parser.parse_args()

    from attribution import chapter_cnn, photographs

    from fruitaudit.models.keras.classifier import Classifier, open_classifier
    from fruitaudit.records.data import Background

    model = open_classifier(args.model) if args.model else Classifier.from_network(chapter_cnn())
    references = photographs(64, model.input_shape)
    background = Background(references.values, np.zeros(64, np.int64), references.sample_ids, 64)
    images = dataclasses.replace(photographs(args.images, model.input_shape), background=background)
    model.gradient(references.values, np.zeros(64, np.int64))
    print(ROW.format("method", "n", "wall s", "CPU s"))
    score_cam(model, images)
    maximization(model, images.select(slice(0, 0)), args.filters, args.steps)


if __name__ == "__main__":
    main()
