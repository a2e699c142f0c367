#!/usr/bin/env python3
"""Every native method, with its smallest options, on every kind of model: the zoo, and its "sequential" out of files.

"nested_sequential" is left out: `models/test_classifier` asserts that the door shows what it shows of
"nested_functional".

`attribution/test_matrix.py` asserts each cell. As a script it prints the table: done, or the reason why not.

python tests/matrix.py [--kinds sequential vit] [--methods lrp]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import zoo
from analytic_models import quick, some_images, with_background

from fruitaudit.attribution.base import CONVOLUTION, LRP_RULES, ONLY_RELUS, POOLING_HEAD, SPATIAL, VISIBLE_LAYERS

FILES = {"keras_file": "model.keras", "keras2_h5": "model.h5", "saved_model": "model"}
"""The "sequential" once more, out of a file of this name."""
KINDS = (*(kind for kind in zoo.KINDS if kind != "nested_sequential"), *FILES)
ALIKE = {
    "added", "dense_activation_layer", "dense_softmax_layer", "gelu", "grey28", "keras2_h5", "keras_file", "logits",
    "relu6", "sigmoid",
}  # fmt: skip
"""Kinds whose network differs from another's by a layer, a size or a file: the matrix of these is marked slow.
`test_attribution_on_keras` asks every method about logits, one channel and one sigmoid unit in the fast tests."""
FEW = {"sequential", "one_logit", "preparing"}
"""Kinds that stand for all in the fast tests of what the matrix asks of every kind too."""
N = 2
NO_PLACES = {"vit", "mlp", "saved_model"}
"""No layer with a spatial activation is found."""
LACKING = {
    SPATIAL: NO_PLACES,
    CONVOLUTION: {"mlp", "saved_model"},
    POOLING_HEAD: set(KINDS) - {"added", "resnet", "subclassed"},
    VISIBLE_LAYERS: {"saved_model"},
    ONLY_RELUS: {"log_softmax", "swish", "gelu", "vit"},
    LRP_RULES: {"log_softmax", "mlp", "vit"},
}
"""The kinds that have not what a method may say it requires."""


@dataclass(frozen=True)
class Cell:
    """A method, what it was asked about the classes that the model predicts, and its explanation or NotRun."""

    method: Any
    images: Any
    targets: Any
    result: Any


def refuses(name: str, kind: str) -> bool:
    """Whether a native method cannot work on this kind, by what its registration says it requires."""
    from fruitaudit.attribution.registry import native_methods

    return any(kind in LACKING[one] for one in native_methods()[name].registration.requires)


def network(kind: str) -> Any:
    """A model of the zoo with random biases: with those of Keras, 0, the sums of attributions hold by themselves.

    Weights before a ReLU6 are large enough that it cuts something off.
    """
    model = zoo.KINDS["sequential" if kind in FILES else kind]()
    rng = np.random.default_rng(4)
    for weight in model.trainable_weights:
        if len(weight.shape) == 1 and "bias" in weight.name:
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif kind == "relu6" and "scores" not in weight.path:
            weight.assign(3 * weight)
    return model


@functools.cache
def classifier(kind: str) -> Any:
    """In memory, or out of a file: one of each kind, so that what was compiled for a test serves the next."""
    from fruitaudit.models.keras.classifier import Classifier, open_classifier

    model = network(kind)
    if kind not in FILES:
        return Classifier.from_network(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILES[kind]
        if not path.suffix:
            model.export(path, verbose=False)
            return open_classifier(path, allow_code=True)
        model.save(path)
        if kind == "keras2_h5":
            as_of_keras_2(path)
        return open_classifier(path)


def as_of_keras_2(path: Path) -> None:
    """Write an HDF5 file as Keras 2 did: another name for the shape of the input, types as plain words."""
    import h5py

    with h5py.File(path, "a") as file:
        model = json.loads(file.attrs["model_config"])
        for config in [model["config"], *(layer["config"] for layer in model["config"]["layers"])]:
            config["dtype"] = "float32"
            if "batch_shape" in config:
                config["batch_input_shape"] = config.pop("batch_shape")
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "2.15.0"


def cell(name: str, kind: str, model: Any, **options: Any) -> Cell:
    """Run a method on two images, or on none where it is about the model."""
    from fruitaudit.attribution.explain import explain
    from fruitaudit.attribution.registry import native_methods
    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime.streams import Streams

    method = quick(native_methods()[name], **options)
    n = N if method.registration.subject == "image" else 0
    images = some_images(model.input_shape, N, high=zoo.TOP.get(kind, 1.0)).select(slice(n))
    images = with_background(method, images)
    targets = Targets(model.logits(images.values).argmax(axis=1))
    return Cell(method, images, targets, explain(method, model, images, targets, Streams(9)))


def main() -> None:
    from fruitaudit.attribution.registry import native_methods
    from fruitaudit.records.states import NotRun

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--methods", nargs="+", choices=native_methods(), default=list(native_methods()))
    args = parser.parse_args()

    reasons: dict[str, int] = {}
    rows: dict[str, list[str]] = {name: [] for name in args.methods}
    for kind in args.kinds:
        model = classifier(kind)
        for name, row in rows.items():
            result = cell(name, kind, model).result
            why_not = isinstance(result, NotRun) and result.reason
            row.append(f"({reasons.setdefault(why_not, len(reasons) + 1)})" if why_not else "✓")
    print("| method | " + " | ".join(args.kinds) + " |")
    print("|---|" + len(args.kinds) * "---|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(row) + " |")
    print()
    for reason, number in reasons.items():
        print(f"({number}) {reason}")


if __name__ == "__main__":
    main()
