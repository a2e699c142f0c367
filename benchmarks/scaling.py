#!/usr/bin/env python3
"""Time against the number of images, and time of a pass against the number of pixels: straight lines?

    python benchmarks/scaling.py [--images 8 16 32 64] [--sides 64 96 128 160] [--samples 64] [--methods lime ...]

The untrained CNN of the chapter, one for every image size. A line is fitted by least squares to the medians of
three runs; "fixed" is where it meets the axis, in ms, and "off" the largest distance of a point from it, as a share of
the largest time. Pixels are counted with 16 images; the time is divided by the passes made, whose number may depend on
the pixels (occlusion moves its patch over all of them).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROW = "{:22} {:>9} {:>9} {:>6}   {:>12} {:>9} {:>6}"


def clocked(model: Any, method: Any, n_images: int) -> tuple[float, int]:
    """Median seconds of three runs after a first one, and the passes of one."""
    from attribution import seconds, with_references

    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime.streams import Streams

    images = with_references(method, n_images, model.input_shape)
    targets = Targets(np.zeros(n_images, np.int64))

    def explain() -> None:
        method(model, images, targets, Streams(9))

    before = model.passes.snapshot()
    explain()
    passes = model.passes.since(before)
    return float(np.median([seconds(explain) for _ in range(3)])), passes.forward + passes.gradient


def line(at: Sequence[float], times: Sequence[float]) -> tuple[float, float, float]:
    """Slope and height of the line, and how far the farthest point is off it as a share of the largest."""
    slope, height = np.polyfit(at, times, 1)
    off = abs(np.polyval((slope, height), at) - times).max() / max(times)
    return float(slope), float(height), float(off)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 96, 128, 160])
    parser.add_argument("--samples", type=int, default=64, help="no method takes more samples than this")
    parser.add_argument("--methods", nargs="+")
    args = parser.parse_args()

    from attribution import chapter_cnn

    from fruitaudit.attribution.registry import native_methods
    from fruitaudit.errors import CannotExplain
    from fruitaudit.models.keras.classifier import Classifier

    few = {"cem": {"c_steps": 2, "max_iterations": 10}, "deep_shap": {"background": 8}, "occlusion": {"patch": 32}}
    models = {side: Classifier.from_network(chapter_cnn(side)) for side in {100, *args.sides}}
    print(ROW.format("method", "ms/image", "fixed ms", "off", "ms/pass/Mpx", "fixed ms", "off"))
    for name, method in native_methods().items():
        if (args.methods and name not in args.methods) or method.registration.subject == "model":
            continue
        if method.registration.family == "control":  # no pass to divide by
            continue
        samples = getattr(method(), "samples", None)
        configured = method(**few.get(name, {"samples": min(samples, args.samples)} if samples else {}))
        try:
            by_images = line(args.images, [clocked(models[100], configured, n)[0] for n in args.images])
            times = [np.divide(*clocked(models[side], configured, 16)) for side in args.sides]
        except CannotExplain as reason:
            print(f"{name:22} {reason}")
            continue
        by_pixels = line([side**2 / 1e6 for side in args.sides], times)
        print(ROW.format(name, *(f"{1000 * x:.2f}" for x in by_images[:2]), f"{by_images[2]:.0%}",
                         *(f"{1000 * x:.2f}" for x in by_pixels[:2]), f"{by_pixels[2]:.0%}"), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
