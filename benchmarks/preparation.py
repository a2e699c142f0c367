"""Is the preparation of images found? Models trained on photographs in known ways, handed over without a word.

    python benchmarks/preparation.py SHARED FOLDER [--half seen|unseen] > benchmarks/preparation.md

SHARED holds data/market and data/store16; models are kept in FOLDER and trained where they are missing (about a minute
each). Every model is opened with four sets of roles, with nothing written down. A key is right, undecided or wrong.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from fruitaudit.config.schema import PreprocessingSettings, SplitSettings
from fruitaudit.data.decode import decode
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, open_split
from fruitaudit.inputs.settle import settle_preprocessing
from fruitaudit.inputs.ways import pixel_map, same_map
from fruitaudit.models.open import open_model
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.intervals import wilson

SIDE = 64


@dataclass(frozen=True)
class World:
    """A network, photographs, and how they were prepared in training; `entry`: layers in front of the network."""

    name: str
    body: str
    data: str
    scale: str
    order: str = "rgb"
    resize: str = "stretch"
    entry: str = ""
    seed: int = 0


WORLDS = {
    "seen": (
        World("a1", "plain", "market", "0-1"),
        World("a2", "normalized", "market", "-1-1"),
        World("a3", "plain", "market", "densenet", seed=1),
        World("a4", "plain", "market", "0-1", "bgr", seed=2),
        World("a5", "normalized", "market", "resnet50", seed=3),
        World("a6", "normalized", "market", "0-255", entry="127", seed=4),
        World("a7", "wide", "store", "0-1", resize="center_crop", seed=5),
        World("a8", "normalized", "market", "0-255", seed=6),
    ),
    "unseen": (
        World("b1", "wide", "market", "-1-1", seed=11),
        World("b2", "normalized", "market", "0-1", "bgr", seed=12),
        World("b3", "wide", "market", "resnet50", seed=13),
        World("b4", "normalized", "market", "densenet", seed=14),
        World("b5", "plain", "market", "0-255", entry="norm", seed=15),
        World("b6", "wide", "market", "0-255", "bgr", seed=16),
        World("b7", "normalized", "store", "-1-1", seed=17),
        World("b8", "plain", "store", "0-255", entry="255", seed=18),
    ),
}
ROLES = {
    "reference, test, field": ("reference", "test", "field"),
    "test": (None, "test", None),
    "reference": ("reference", None, None),
    "field": (None, "field", None),
}


def network(world: World, k: int, values: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(world.seed)
    x = image = keras.Input((SIDE, SIDE, 3))
    if world.entry == "127":
        x = layers.Rescaling(1 / 127.5, -1)(x)
    elif world.entry == "255":
        x = layers.Rescaling(1 / 255)(x)
    elif world.entry == "norm":
        layer = layers.Normalization()
        layer.adapt(values)
        x = layer(x)
    elif world.scale == "0-255":
        x = layers.BatchNormalization()(x)
    for filters in {"plain": (24, 32, 48, 64), "normalized": (24, 32, 48, 64), "wide": (32, 48, 64)}[world.body]:
        x = layers.Conv2D(
            filters, 5 if world.body == "wide" else 3, padding="same", use_bias=world.body != "normalized"
        )(x)
        x = layers.BatchNormalization()(x) if world.body == "normalized" else x
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.GlobalAveragePooling2D()(x) if world.body == "normalized" else layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(image, layers.Dense(k, activation="softmax")(x))


def photographs(shared: Path, data: str) -> tuple[Path, list[tuple[Path, int]], list[str]]:
    root = shared.resolve() / "data" / ("market/photos" if data == "market" else "store16/store")
    names = sorted(p.name for p in root.iterdir() if p.is_dir())
    files = [(file, i) for i, name in enumerate(names) for file in sorted((root / name).iterdir())]
    return root, files, names


def parts(files: list[tuple[Path, int]], seed: int) -> dict[str, list[tuple[Path, int]]]:
    """55 % to train on, 45 % held back; every eighth of these for the field."""
    order = np.random.default_rng(seed).permutation(len(files))
    cut = int(0.55 * len(files))
    held = [files[i] for i in order[cut:]]
    return {"reference": [files[i] for i in order[:cut]], "test": held}


def train(world: World, shared: Path, folder: Path) -> Path:
    path = folder / f"{world.name}.keras"
    if path.exists():
        return path
    _, files, names = photographs(shared, world.data)
    prepared = Preprocessor(SIDE, SIDE, 3, world.resize, "bilinear", world.scale, channel_order=world.order)
    of = {part: (np.stack([prepared(decode(f.read_bytes()).pixels) for f, _ in rows]), np.array([y for _, y in rows]))
          for part, rows in parts(files, world.seed).items()}  # fmt: skip
    (x, y), test = of["reference"], of["test"]
    model = network(world, len(names), x)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(world.seed)
    for _ in range(28):
        flipped = np.where(rng.random(len(x))[:, None, None, None] < 0.5, x, x[:, :, ::-1])
        model.fit(flipped, y, batch_size=32, verbose=0)
    print(f"<!-- {world.name}: held back {model.evaluate(*test, verbose=0)[1]:.3f} -->", flush=True)
    model.save(path)
    return path


def splits(world: World, shared: Path, folder: Path, roles: tuple[str | None, ...]) -> list[Split]:
    _, files, names = photographs(shared, world.data)
    chosen = parts(files, world.seed)
    rows = dict(zip(("reference", "test"), roles, strict=False))
    found = []
    for part, role in rows.items():
        if role is None:
            continue
        manifest = folder / f"{world.name}-{part}.csv"
        manifest.write_text("path,label\n" + "".join(f"{f},{names[y]}\n" for f, y in chosen[part]))
        found.append(open_split(SplitSettings(name=part, path=manifest, role=role), tuple(names)))
    return found


def judge(world: World, shared: Path, folder: Path, roles: tuple[str | None, ...]) -> tuple[dict[str, str], float]:
    model = open_model(train(world, shared, folder))
    written = PreprocessingSettings(resize=world.resize, interpolation="bilinear")
    prepared, summary = settle_preprocessing(written, splits(world, shared, folder, roles), model, Streams(9))
    truth = replace(prepared, scale=world.scale, channel_order=world.order)
    verdicts = {}
    for key, right in (("scale", truth.scale_text), ("channel_order", truth.channel_order)):
        source = summary.source_of(key)
        same = getattr(summary, key) == right or same_map(pixel_map(prepared), pixel_map(truth))
        verdicts[key] = "undecided" if source == "undecided" else f"{'right' if same else 'WRONG'} ({source})"
    return verdicts, summary.accuracy.value if summary.accuracy else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=[*WORLDS, "both"], default="both")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[tuple[str, str]] = Counter()
    print("| model | truth | roles | accuracy | scale | channel order |\n|---|---|---|---|---|---|")
    for half in WORLDS if options.half == "both" else [options.half]:
        for world in WORLDS[half]:
            for name, roles in ROLES.items():
                verdicts, accuracy = judge(world, options.shared, options.folder, roles)
                truth = " ".join(filter(None, (world.body, world.data, world.scale, world.order, world.entry)))
                print(f"| {world.name} | {truth} | {name} | {100 * accuracy:.1f} % | {verdicts['scale']} | "
                      f"{verdicts['channel_order']} |", flush=True)  # fmt: skip
                for key, verdict in verdicts.items():
                    counts[half + (", field only" if name == "field" else ""), f"{key} {verdict.split()[0]}"] += 1
    for (half, verdict), n in sorted(counts.items()):
        print(f"\n{half}: {verdict}: {n}")
    decided = sum(n for (half, v), n in counts.items() if "field" not in half and "undecided" not in v)
    total = sum(n for (half, _), n in counts.items() if "field" not in half)
    print(f"\ndecided with a lab: {wilson(decided, total).text(share=True)}")


if __name__ == "__main__":
    main()
