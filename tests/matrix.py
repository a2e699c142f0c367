#!/usr/bin/env python3
"""Every native method on every kind of model of the zoo, as a table: done, or the reason why not.

python tests/matrix.py [--kinds sequential vit] [--methods lrp]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent / "attribution"))

import numpy as np
import zoo
from analytic_models import some_images, some_targets, with_background

QUICK: dict[str, dict[str, Any]] = {
    "activation_maximization": {"steps": 2, "filters": 1, "reference_images": 12},
    "cem": {"c_steps": 1, "max_iterations": 3, "no_information": "grey"},
    "deep_shap": {"background": 4},
    "expected_gradients": {"samples": 4, "references": 4},
    "integrated_gradients": {"steps": 8},
    "kernel_shap": {"samples": 32},
    "lime": {"samples": 32},
    "nearest_neighbours": {"reference_images": 12},
    "occlusion": {"patch": 12},
    "partition_shap": {"samples": 32},
    "rise": {"samples": 16},
    "smoothgrad": {"samples": 2},
    "vargrad": {"samples": 2},
}
FILES = {"keras2_style_h5": "model.h5", "saved_model": "model"}
"""The "sequential" once more, out of a file."""


def classifier(kind: str) -> Any:
    """Of the zoo, or of a file of its "sequential"."""
    from fruitaudit.models.classifier import Classifier, open_classifier

    if kind not in FILES:
        return Classifier.from_network(zoo.KINDS[kind](), batch_size=16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILES[kind]
        network = zoo.KINDS["sequential"]()
        if path.suffix:
            network.save(path)
        else:
            network.export(path, verbose=False)
        return open_classifier(path, trust=not path.suffix, batch_size=16)


def outcome(method: Any, model: Any) -> str:
    """Why not; empty where it is done."""
    from fruitaudit.attribution.explain import explain
    from fruitaudit.records.states import NotRun
    from fruitaudit.runtime import Streams

    made = method(**QUICK.get(method.registration.name, {}))
    n = 2 if method.registration.subject == "image" else 0
    images = some_images(model.input_shape, n=2, high=zoo.TOP.get(model.network.name, 1.0)).select(slice(n))
    explained = explain(made, model, with_background(made, images), some_targets(n, model.n_classes), Streams(9))
    if isinstance(explained, NotRun):
        return explained.reason
    values = getattr(explained, "values", None)
    return "" if values is None or np.isfinite(values).all() else "NOT FINITE"


def main() -> None:
    from fruitaudit.attribution.registry import native_methods

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=[*zoo.KINDS, *FILES])
    parser.add_argument("--methods", nargs="+", default=list(native_methods()))
    args = parser.parse_args()

    reasons: dict[str, int] = {}
    cells: dict[str, list[str]] = {name: [] for name in args.methods}
    for kind in args.kinds:
        model = classifier(kind)
        for name in args.methods:
            reason = outcome(native_methods()[name], model)
            cells[name].append(f"({reasons.setdefault(reason, len(reasons) + 1)})" if reason else "✓")
    print("| method | " + " | ".join(args.kinds) + " |")
    print("|---|" + len(args.kinds) * "---|")
    for name, row in cells.items():
        print(f"| {name} | " + " | ".join(row) + " |")
    print()
    for reason, number in reasons.items():
        print(f"({number}) {reason}")


if __name__ == "__main__":
    main()
