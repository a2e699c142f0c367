#!/usr/bin/env python3
"""Peak memory of every method on many images, each in a process of its own.

    python benchmarks/memory.py [--network resnet50] [--images 100] [--memory 5GB] [--methods saliency lrp ...]

An untrained network at 224 x 224. Methods take few samples: memory does not grow with them, or it would show. "program"
is what the process has before the method runs (TensorFlow, the network, the images), "peak" the largest resident memory
of its life, both in MB; "an image" is the growth over the images of a batch, beside what the plan counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FEW: dict[str, dict[str, Any]] = {
    "activation_maximization": {"steps": 2, "filters": 4, "classes": 4, "reference_images": 32},
    "cem": {"c_steps": 1, "max_iterations": 2, "no_information": "grey"},
    "deep_shap": {"background": 2},
    "expected_gradients": {"samples": 2, "references": 4},
    "integrated_gradients": {"steps": 2},
    "kernel_shap": {"samples": 10, "segmentation": "slic"},
    "lime": {"samples": 10, "segmentation": "slic"},
    "nearest_neighbours": {"reference_images": 32},
    "occlusion": {"patch": 112, "stride": 112},
    "partition_shap": {"samples": 10},
    "rise": {"samples": 4},
    "smoothgrad": {"samples": 2},
    "vargrad": {"samples": 2},
    "grad_cam": {"depths": 6},
    "layer_cam": {"depths": 6},
}
SKIPPED = {"score_cam": "as many passes as the layer has feature maps", "smoothgrad_sweep": "smoothgrad three times"}


def one(name: str, network: str, n_images: int, memory: str | None) -> dict[str, float]:
    """Run a method in this process and look at what it took."""
    from attribution import NETWORKS, asked

    from fruitaudit.attribution.explain import explain
    from fruitaudit.attribution.registry import native_methods
    from fruitaudit.config.sizes import bytes_of
    from fruitaudit.models.classifier import Classifier
    from fruitaudit.models.memory import plan_memory
    from fruitaudit.records.explanations import Targets
    from fruitaudit.records.states import NotRun
    from fruitaudit.runtime import Streams, peak_memory_mb

    model = Classifier.from_network(NETWORKS[network]())
    plan = plan_memory(model.needs, model.batch_size, memory and bytes_of(memory))
    model.batch_size = plan.batch_size
    method = native_methods()[name](**FEW.get(name, {}))
    images = asked(method, n_images, model.input_shape)
    if method.registration.subject == "model":
        images = images.select(slice(0))
    program, begin = peak_memory_mb(), time.perf_counter()
    made = explain(method, model, images, Targets(np.zeros(len(images), np.int64)), Streams(9))
    if isinstance(made, NotRun):
        raise SystemExit(made.reason)
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
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(one(args.child, args.network, args.images, args.memory)))
        return

    from fruitaudit.attribution.registry import native_methods

    print(f"{'method':24} {'batch':>5} {'program':>8} {'peak MB':>8} {'an image':>9} {'planned':>8} {'seconds':>8}")
    for name in args.methods or [n for n in native_methods() if n not in SKIPPED]:
        command = [sys.executable, Path(__file__), "--child", name, "--network", args.network]
        command += ["--images", str(args.images), *(["--memory", args.memory] if args.memory else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:24} {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        told = json.loads(done.stdout.strip().splitlines()[-1])
        print(f"{name:24} {told['batch']:5} {told['program']:8,.0f} {told['peak']:8,.0f} {told['image']:9.0f} "
              f"{told['planned']:8.0f} {told['seconds']:8.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
