#!/usr/bin/env python3
"""Methods against the libraries with equal parameters, and the chapter as a whole against its chain of library calls.

    python benchmarks/libraries.py [--case fruitaudit-demo] [--alibi PYTHON] [--only lime deep_shap] [--images 3]

`--case` is the folder that `fruitaudit demo` makes: its classifier, autoencoder and photographs. Every method runs on
a few images (or units, for activation maximization) natively and by the library, after a first native run that
compiles. Wall and CPU seconds are per image. Libraries that run in a child process (shap, alibi) are measured with one
image and with several; the difference gives the cost per image without starting the child. `lime` is the package as
its users call it, with `model.predict`.

At the end the seconds are multiplied by what configs/chapter.yaml asks for. Both sums leave out what is the same for
both (reading images, predicting, drawing) and what no library does (testing the explanations, looking for causes).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROW = "{:34} {:>8} {:>8} {:>9} {:>9} {:>7} {:>7}"


@dataclasses.dataclass(frozen=True)
class Compared:
    """A method with equal options on both sides; `times` images (or units) of it are in the chapter."""

    name: str
    provider: str
    options: dict[str, Any]
    times: int = 0
    units: int = 0
    """Of a method about the model: units made by one call of the library; the native one makes all `times` at once."""
    native: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options that only the native method has, and that make it do what the library does."""
    child: bool = False


def cases(autoencoder: Path) -> list[Compared]:
    """Every method that a library offers.

    Counts and options as in configs/chapter.yaml: 17 misclassified, 6 recognised, 6 learned and 2 side by side; 200
    steps of activation maximization, which are tf-keras-vis' own.
    """
    cem = {"autoencoder": str(autoencoder), "gamma": 100.0, "beta": 0.1, "max_iterations": 100, "c_steps": 10}
    return [
        Compared(
            "activation_maximization",
            "tf-keras-vis",
            {"filters": 1, "classes": 0, "steps": 200},
            80,
            units=4,
            native={"filters": 16, "classes": 16},
        ),
        Compared("saliency", "tf-keras-vis", {}, 19),
        Compared("saliency", "tf-explain", {}),
        Compared("grad_cam", "tf-keras-vis", {}),
        Compared("grad_cam", "tf-explain", {}),
        Compared("smoothgrad", "tf-keras-vis", {"samples": 20, "noise": 0.2}, 19),
        Compared("grad_cam_pp", "tf-keras-vis", {}, 19),
        Compared("score_cam", "tf-keras-vis", {}),
        Compared("integrated_gradients", "tf-explain", {"steps": 25}, 19),
        Compared("occlusion", "tf-explain", {"patch": 3}, 8, native={"stride": 3}),
        Compared("occlusion", "tf-explain", {"patch": 5}, 12, native={"stride": 5}),
        Compared("lime", "lime", {"samples": 1000}, 8),
        Compared("deep_shap", "shap", {"background": 100}, child=True),
        Compared("deep_shap", "shap", {"background": 100}, native={"classes": 16}, child=True),
        # The library always computes all classes, the native method those asked for, and their sum at the cost of one.
        Compared("deep_shap", "shap", {"background": 100}, 2, native={"classes": 3, "total": True}, child=True),
        # The step that is ours by default with an autoencoder, and alibi's.
        Compared("cem", "alibi", cem | {"learning_rate": 0.002}, 8, child=True),
        Compared("cem", "alibi", cem | {"learning_rate": 0.01}, child=True),
    ]


def quicker(run: Callable[[], Any]) -> Any:
    """Wall and CPU seconds of the better of two runs: the first one with a new number of images is slower."""
    return np.array(min(clocked(run), clocked(run)))


def clocked(run: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds, those of children among them."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used, begin = sum(sum(resource.getrusage(who)[:2]) for who in whose), time.perf_counter()
    run()
    return time.perf_counter() - begin, sum(sum(resource.getrusage(who)[:2]) for who in whose) - used


def plain_lime(model: Any, images: Any, targets: Any, samples: int) -> None:
    """The package as its documentation calls it."""
    from lime.lime_image import LimeImageExplainer

    for image, target in zip(images.values, targets.classes, strict=True):
        LimeImageExplainer(random_state=9).explain_instance(
            image.astype(np.float64), lambda batch: model.network.predict(batch, verbose=0), labels=(int(target),),
            top_labels=None, num_samples=samples,
        )  # fmt: skip


def open_case(case: Path) -> tuple[Any, Any]:
    """The classifier, and 64 photographs of the store with reference images beside them."""
    import cv2

    from fruitaudit.models.keras.classifier import open_classifier
    from fruitaudit.records.data import Background, Images

    def read(folder: str, n: int) -> tuple[Any, tuple[str, ...]]:
        files = sorted((case / folder).rglob("*.png"))
        chosen = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:n]]
        values = np.stack([np.asarray(cv2.imread(str(f)))[..., ::-1] for f in chosen]).astype(np.float32) / 255
        return values, tuple(str(f) for f in chosen)

    (store, store_ids), (train, train_ids) = read("store", 64), read("lab/train", 256)
    background = Background(train, np.zeros(len(train), np.int64), train_ids, len(train))
    images = Images(store, store_ids, np.zeros(3, np.float32), np.ones(3, np.float32), background=background)
    return open_classifier(case / "fruit_cnn.keras"), images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, default=Path("fruitaudit-demo"))
    parser.add_argument("--alibi", type=Path, help="an interpreter with alibi; without one CEM is left out")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--images", type=int, default=3)
    args = parser.parse_args()

    from fruitaudit.attribution import superpixels
    from fruitaudit.attribution.base import background_of
    from fruitaudit.config.schema import MethodSettings
    from fruitaudit.providers.registry import build
    from fruitaudit.records.data import Background
    from fruitaudit.records.explanations import Targets
    from fruitaudit.runtime.streams import Streams

    model, images = open_case(args.case)
    interpreters = {"alibi": args.alibi} if args.alibi else {}
    print(ROW.format("method", "native s", "cpu s", "library s", "cpu s", "wall x", "cpu x"))
    sums = np.zeros(4)
    for one in cases(args.case / "fruit_autoencoder.keras"):
        if (args.only and one.name not in args.only) or (one.provider == "alibi" and not interpreters):
            continue

        def run(n: int, provider: str, one: Compared = one) -> Callable[[], Any]:
            subset = images.select(slice(0 if one.units else n))
            targets = Targets(model.probabilities(images.values)[: len(subset)].argmax(axis=1))
            if provider == "lime":
                return lambda: plain_lime(model, subset, targets, one.options["samples"])
            options = one.options | (one.native if provider == "native" else {})
            method = build(MethodSettings(name=one.name, provider=provider, options=options), interpreters)
            n_references, references = background_of(method), images.background
            subset = dataclasses.replace(subset, background=Background(
                references.values[:n_references], references.labels[:n_references],
                references.sample_ids[:n_references], references.population))  # fmt: skip

            def explain() -> None:
                superpixels.image_superpixels.cache_clear()
                method(model, subset, targets, Streams(9))

            return explain

        n = one.units or args.images
        run(1, "native")()
        native = quicker(run(n, "native")) / (one.times if one.units else n)
        if one.child:
            several, single = (np.array(clocked(run(some, one.provider))) for some in (n, 1))
            library = (several - single) / (n - 1)
        else:
            library = quicker(run(n, one.provider)) / n
        which = one.options.get("patch") or one.native.get("classes") or one.options.get("learning_rate", "")
        label = f"{one.name} {which}@{one.provider}"
        print(ROW.format(label, *(f"{s:.3f}" for s in (*native, *library)), *(f"{x:.1f}" for x in library / native)),
              flush=True)  # fmt: skip
        sums += one.times * np.array([*native, *library])
    print(ROW.format("the chapter", *(f"{s:.0f}" for s in sums), *(f"{x:.1f}" for x in sums[2:] / sums[:2])))


if __name__ == "__main__":
    main()
