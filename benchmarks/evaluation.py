#!/usr/bin/env python3
"""Evaluating many images: wall time against decoding plus raw compiled passes, and memory against a tenth of them.

    python benchmarks/evaluation.py [--images 10000]

Makes PNG photographs of 100 x 100 and an untrained CNN of the chapter's architecture (526,006 parameters) in a
temporary folder. Every measurement runs in a process of its own. Reported:

- decode: reading, decoding, resizing and scaling all images with the stream that the audit uses, and nothing else
- passes: the model's compiled function on arrays that are already in memory, same batch size
- evaluation: `prediction.predict` and `evaluation.evaluate` together, without a cache entry
- ratio: evaluation / (decode + passes); the target is at most 1.15
- memory: peak of evaluation over the peak of a tenth of the images
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CLASSES = 16
SIDE = 100


def write_case(folder: Path, n_images: int) -> None:
    """Smooth random photographs in class folders, and the model."""
    import cv2
    import keras

    rng = np.random.default_rng(9)
    for i in range(n_images):
        small = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
        path = folder / "photos" / f"class_{i % CLASSES:02d}" / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    layers = keras.layers
    convolutions = [layer for k in (16, 32, 64, 128) for layer in (layers.Conv2D(k, 2, activation="relu"),
                                                                    layers.MaxPooling2D())]  # fmt: skip
    head = [layers.Flatten(), layers.Dense(150, activation="relu"), layers.Dense(CLASSES, activation="softmax")]
    keras.Sequential([keras.Input((SIDE, SIDE, 3)), *convolutions, *head]).save(folder / "model.keras")


def measure(what: str, folder: Path, n_images: int) -> dict[str, float]:
    """Seconds and peak memory of one part, in this process."""
    from fruitaudit.audit.opening import open_inputs
    from fruitaudit.audit.prediction import predict
    from fruitaudit.config.schema import Config
    from fruitaudit.data.stream import StreamSummary, stream
    from fruitaudit.evaluation.evaluate import evaluate
    from fruitaudit.runtime.cache import StageCache
    from fruitaudit.runtime.memory import peak_memory_mb
    from fruitaudit.runtime.streams import Streams

    config = Config.model_validate(
        {
            "model": {
                "path": folder / "model.keras",
                "preprocessing": {"resize": "stretch", "interpolation": "area", "scale": "0-1"},
            },
            "splits": [{"name": "photos", "path": folder / "photos", "role": "field"}],
        }
    )
    opened = open_inputs(config, Streams(9))
    split = opened.splits[0]
    split = type(split)(**{**vars(split), "samples": split.samples[:n_images]})
    warm = np.zeros((opened.classifier.batch_size, SIDE, SIDE, 3), np.float32)
    opened.classifier.scores(warm)
    if what == "decode":
        begin = time.perf_counter()
        for _ in stream(split, opened.preprocessor, opened.classifier.batch_size, StreamSummary()):
            pass
    elif what == "passes":
        begin = time.perf_counter()
        for _ in range(-(-n_images // len(warm))):
            opened.classifier.scores(warm)
    else:
        import sklearn.metrics  # noqa: F401  (importing is not evaluating)

        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as cache:
            predicted = predict(opened, split, StageCache(Path(cache)), fail_on_bad=True, advance=lambda _n: None)
            evaluate(predicted.predictions, Streams(9))
    return {"seconds": time.perf_counter() - begin, "memory_mb": peak_memory_mb()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--part", nargs=3, metavar=("WHAT", "FOLDER", "IMAGES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(measure(args.part[0], Path(args.part[1]), int(args.part[2]))))
        return

    def run(what: str, folder: str, n_images: int) -> dict[str, float]:
        command = [sys.executable, __file__, "--part", what, folder, str(n_images)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    with tempfile.TemporaryDirectory() as folder:
        write_case(Path(folder), args.images)
        ratios = []
        for _ in range(args.runs):
            decode, passes, whole = (run(what, folder, args.images) for what in ("decode", "passes", "evaluation"))
            ratios.append(whole["seconds"] / (decode["seconds"] + passes["seconds"]))
            print(f"decode {decode['seconds']:.2f} s, passes {passes['seconds']:.2f} s, evaluation "
                  f"{whole['seconds']:.2f} s, ratio {ratios[-1]:.2f}")  # fmt: skip
        tenth = run("evaluation", folder, args.images // 10)
        print(f"ratio, median of {args.runs}: {np.median(ratios):.2f}")
        print(f"peak memory: {whole['memory_mb']:.0f} MB for {args.images} images, {tenth['memory_mb']:.0f} MB for "
              f"{args.images // 10}")  # fmt: skip


if __name__ == "__main__":
    main()
