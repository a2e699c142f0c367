"""The 17 planted faults and 5 clean cases, and how each is laid on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from planted.rendering import (
    ACTIVATIONS,
    CLASSES,
    FACTORS,
    MODELS,
    Pictures,
    Toggle,
    background,
    both,
    light,
    load_model,
    mislabel,
    same,
    scenes,
    small,
    starve,
    tied,
    training_set,
    varied,
    watermark,
    write_config,
    write_split,
)

PER_CLASS = 16
TRAIN_PER_CLASS = 50
"""Training images per class in the audit's reference split."""


@dataclass(frozen=True)
class PlantedCase:
    """What is written to disk; `names` for the first finding, none for a clean case."""

    name: str
    expected: tuple[str, ...]
    model: str
    train: Callable[[], Pictures]
    test: Callable[[], Pictures]
    field: Callable[[], Pictures]
    classes: tuple[str, ...] = CLASSES
    scale: str = "0-1"
    grouped: bool = False


@cache
def pictures(split: str, *toggles: Toggle) -> Pictures:
    chain = same
    for toggle in toggles:
        chain = toggle if chain is same else both(chain, toggle)
    return Pictures.of(scenes(split, PER_CLASS, chain))


@cache
def training_pictures(model: str) -> Pictures:
    return training_set(model, TRAIN_PER_CLASS)


def swapped(source: Pictures) -> Pictures:
    return Pictures(source.pixels[..., ::-1], source.labels)


def repeated(source: Pictures, train: Pictures, every: int = 2) -> Pictures:
    """Every other test image (or every third) is a training image."""
    pixels = source.pixels.copy()
    for label in range(len(CLASSES)):
        rows, train_rows = np.flatnonzero(source.labels == label)[::every], np.flatnonzero(train.labels == label)
        pixels[rows] = train.pixels[train_rows[: len(rows)]]
    return Pictures(pixels, source.labels)


def mild(scene, rng):
    return replace(scene, noise=1.0, jpeg=95)


def _factor(name: str, model: str = "lab") -> PlantedCase:
    base = (small,) if model == "small" else ()
    return PlantedCase(name, (name,), model, lambda: training_pictures(model), lambda: pictures("test", *base),
                 lambda: pictures("field", *base, FACTORS[name]))  # fmt: skip


def _lab(name: str, *expected: str, **changes) -> PlantedCase:
    plain = PlantedCase(
        name, expected, "lab", lambda: training_pictures("lab"), lambda: pictures("test"), lambda: pictures("field")
    )
    return replace(plain, **changes)


def planted_cases() -> list[PlantedCase]:
    names = (*CLASSES[3:], *CLASSES[:3])[::-1]
    return [
        *(_factor(name, "small" if name in ("several", "wetness") else "lab") for name in FACTORS),
        _lab("watermark", "shortcut-region", model="watermark", train=lambda: training_pictures("watermark"),
             test=lambda: watermark(pictures("test"))),
        _lab("tied background", "shortcut-background", model="tied", train=lambda: training_pictures("tied"),
             test=lambda: pictures("test", tied)),
        _lab("BGR decoder", "channel-order", train=lambda: swapped(training_pictures("lab")),
             test=lambda: swapped(pictures("test")), field=lambda: swapped(pictures("field"))),
        _lab("0-255 for 0-1", "pixel-scale", model="tanh", train=lambda: training_pictures("lab"), scale="0-255"),
        _lab("permuted names", "class-order", classes=names),
        _lab("wrong labels", "wrong-labels", model="noisy",
             train=lambda: mislabel(Pictures.of(scenes("train", 100)))),
        _lab("repeated images", "leak-duplicates", test=lambda: repeated(pictures("test"), training_pictures("lab"))),
        _lab("shared groups", "leak-groups", grouped=True),
        _lab("starved class", "starved-class", model="starved", train=lambda: starve(training_pictures("lab"))),
        _lab("clean: as the lab"),
        _lab("clean: mild camera", field=lambda: pictures("field", mild)),
        _lab("clean: small objects", model="small", train=lambda: training_pictures("small"),
             test=lambda: pictures("test", small), field=lambda: pictures("field", small)),
        _lab("clean: trained for backgrounds", model="varied", train=lambda: training_pictures("varied"),
             test=lambda: pictures("test", varied), field=lambda: pictures("field", background)),
        _lab("clean: trained for light", model="varied", train=lambda: training_pictures("varied"),
             test=lambda: pictures("test", varied), field=lambda: pictures("field", light)),
    ]  # fmt: skip


def lay_out(case: PlantedCase, folder: Path) -> Path:
    """Write the world's splits, model and config; the config's path."""
    splits = {"train": case.train(), "test": case.test(), "field": case.field()}
    paths = {name: write_split(folder / name, part) for name, part in splits.items()}
    if case.grouped:
        paths = {name: _manifest(path, splits[name], name) for name, path in paths.items()}
    model = folder / "model.keras"
    load_model(MODELS / f"{case.model}.npz", ACTIVATIONS.get(case.model, "relu")).save(model)
    return write_config(folder, model, paths, case.classes, case.scale)


def _manifest(path: Path, part: Pictures, split: str) -> Path:
    """One group id per training image; a third of the test images name one of them."""
    lines: Sequence[str] = [
        f"{split}/{CLASSES[label]}/{i:04d}.png,{CLASSES[label]},"
        + (f"train {i}" if split == "train" or (split == "test" and i % 3 == 0) else f"{split} {i}")
        for i, label in enumerate(part.labels)
    ]
    manifest = path.parent / f"{split}.csv"
    manifest.write_text("\n".join(["path,label,group_id", *lines]))
    return manifest
