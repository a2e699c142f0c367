#!/usr/bin/env python3
"""Peak memory of every method on many images, each in a process of its own.

    python benchmarks/memory.py [--network resnet50] [--images 100] [--memory 5GB] [--methods saliency lrp ...]
    python benchmarks/memory.py --methods deep_shap --references 4
    python benchmarks/memory.py --methods nearest_neighbours --layer conv1_relu

An untrained network at 224 x 224. Methods take few samples, because memory does not grow with them. They take as many
reference images as they ask for, or `--references` at most, which saves DeepSHAP much time. Columns, in MB: "program"
is the memory before the method runs (TensorFlow, network, images, reference images); "peak" is the largest resident
memory of the process; "per image" is the growth divided by the batch size; "planned" is what the plan counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FEW: dict[str, dict[str, Any]] = {
    "activation_maximization": {"steps": 2, "filters": 4, "classes": 4},
    "cem": {"c_steps": 1, "max_iterations": 2},
    "expected_gradients": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "kernel_shap": {"samples": 10, "segmentation": "slic"},
    "lime": {"samples": 10, "segmentation": "slic"},
    "occlusion": {"patch": 112, "stride": 112},
    "partition_shap": {"samples": 10},
    "rise": {"samples": 4},
    "smoothgrad": {"samples": 2},
    "vargrad": {"samples": 2},
    "grad_cam": {"depths": 6},
    "layer_cam": {"depths": 6},
}
REFERENCES = "background", "references", "reference_images"
"""What methods call the number of reference images."""
SKIPPED = {"score_cam": "as many passes as the layer has feature maps", "smoothgrad_sweep": "smoothgrad three times"}


def method_with(name: str, references: int | None, layer: str | None) -> Any:
    """The method with few samples, and with its own number of reference images, at most `references`."""
    from fruitaudit.attribution.registry import native_methods

    kind, options = native_methods()[name], dict(FEW.get(name, {}))
    for option in REFERENCES:
        if references and getattr(kind(), option, 0) > references:
            options[option] = references
    return kind(**options, **({"layer": layer} if layer else {}))


def with_references(method: Any, images: Any) -> Any:
    """As many reference images as the method needs: the same few repeated, written into one array."""
    from attribution import CLASSES

    from fruitaudit.attribution.base import background_of
    from fruitaudit.records.data import Background

    n_references = background_of(method)
    if not n_references:
        return images
    values = np.empty((n_references, *images.values.shape[1:]), np.float32)
    for i in range(n_references):
        values[i] = images.values[i % len(images)]
    ids = tuple(f"reference/{i}" for i in range(n_references))
    return replace(images, background=Background(values, np.arange(n_references) % CLASSES, ids, n_references))


def one(args: argparse.Namespace) -> dict[str, float]:
    """Run a method in this process and measure its memory and time."""
    from attribution import NETWORKS, photographs

    from fruitaudit.attribution.explain import explain
    from fruitaudit.config.sizes import bytes_of
    from fruitaudit.models.keras.classifier import Classifier
    from fruitaudit.models.memory import plan_memory
    from fruitaudit.records.explanations import Targets
    from fruitaudit.records.states import NotRun
    from fruitaudit.runtime.memory import peak_memory_mb
    from fruitaudit.runtime.streams import Streams

    model = Classifier.from_network(NETWORKS[args.network]())
    plan = plan_memory(model.memory_needs, model.batch_size, args.memory and bytes_of(args.memory))
    model.batch_size = plan.batch_size
    method = method_with(args.child, args.references, args.layer)
    images = with_references(method, photographs(args.images, model.input_shape))
    if method.registration.subject == "model":
        images = images.select(slice(0))
    program, begin = peak_memory_mb(), time.perf_counter()
    explanation = explain(method, model, images, Targets(np.zeros(len(images), np.int64)), Streams(9))
    if isinstance(explanation, NotRun):
        raise SystemExit(explanation.reason)
    peak = peak_memory_mb()
    return {
        "program": program,
        "peak": peak,
        "image": (peak - program) / plan.batch_size,
        "planned": plan.image_mb,
        "batch": plan.batch_size,
        "seconds": time.perf_counter() - begin,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--memory")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--references", type=int, help="no method takes more reference images than this")
    parser.add_argument("--layer", help="of methods that look at one")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(one(args)))
        return

    from fruitaudit.attribution.registry import native_methods

    print(f"{'method':24} {'batch':>5} {'program':>8} {'peak MB':>8} {'per image':>9} {'planned':>8} {'seconds':>8}")
    for name in args.methods or [n for n in native_methods() if n not in SKIPPED]:
        command = [sys.executable, Path(__file__), "--child", name]
        for option in ("network", "images", "memory", "references", "layer"):
            value = getattr(args, option)
            command += [] if value is None else [f"--{option}", str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:24} {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        row = json.loads(done.stdout.strip().splitlines()[-1])
        print(f"{name:24} {row['batch']:5} {row['program']:8,.0f} {row['peak']:8,.0f} {row['image']:9.0f} "
              f"{row['planned']:8.0f} {row['seconds']:8.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
