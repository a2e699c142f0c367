"""Is the preparation of images found? Models trained on photographs in known ways, handed over without a word.

    python benchmarks/preparation.py SHARED FOLDER [--half seen|unseen] > benchmarks/preparation.md

SHARED holds data/market and data/store16; models are kept in FOLDER and trained where they are missing (about a minute
each). Every model is opened with four sets of roles and nothing written down; a key is right, undecided or wrong. Then
it is opened with a wrong scale or channel order written, which must be warned of, and with three class names
exchanged, which must not change what is found.
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

from fruitaudit.config.loaders import LOADERS
from fruitaudit.config.schema import PreprocessingSettings, SplitSettings
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, open_split
from fruitaudit.findings.inputs import of_preparation
from fruitaudit.inputs.settle import settle_preprocessing
from fruitaudit.inputs.ways import pixel_map, same_map
from fruitaudit.models.open import open_model
from fruitaudit.records.inputs import PreprocessingSummary
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
    loader: str = "image_dataset_from_directory"

    @property
    def text(self) -> str:
        """In a cell."""
        parts = (self.body, self.data, self.scale, self.order, self.entry, self.resize, self.loader)
        return " ".join(filter(None, parts))


WORLDS = {
    "seen": (
        World("a1", "plain", "market", "0-1"),
        World("a2", "normalized", "market", "-1-1", loader="load_img"),
        World("a3", "plain", "market", "densenet", seed=1),
        World("a4", "plain", "market", "0-1", "bgr", seed=2, loader="opencv"),
        World("a5", "normalized", "store", "resnet50", resize="center_crop", seed=3, loader="torchvision"),
        World("a6", "normalized", "market", "0-255", entry="127", seed=4),
        World("a7", "wide", "store", "0-1", resize="center_crop", seed=5),
        World("a8", "normalized", "market", "0-255", seed=6, loader="tf.image.resize"),
    ),
    "unseen": (
        World("b1", "wide", "market", "-1-1", seed=11),
        World("b2", "normalized", "market", "0-1", "bgr", seed=12, loader="opencv"),
        World("b3", "wide", "market", "resnet50", seed=13),
        World("b4", "normalized", "market", "densenet", seed=14, loader="torchvision"),
        World("b5", "plain", "market", "0-255", entry="norm", seed=15, loader="load_img"),
        World("b6", "wide", "market", "0-255", "bgr", seed=16),
        World("b7", "normalized", "store", "-1-1", resize="pad", seed=17, loader="fruitaudit"),
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
    loader = LOADERS[world.loader]
    prepared = Preprocessor(SIDE, SIDE, 3, world.resize, loader.interpolation, world.scale, loader=loader,
                            channel_order=world.order)  # fmt: skip
    of = {}
    for part, rows in parts(files, world.seed).items():
        images = [prepared(prepared.decoded(file.read_bytes()).pixels) for file, _ in rows]
        of[part] = np.stack(images), np.array([label for _, label in rows])
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


def splits(
    world: World, shared: Path, folder: Path, roles: tuple[str | None, ...], *, exchanged: bool = False
) -> list[Split]:
    """`exchanged`: the names of the first three classes are handed round."""
    _, files, names = photographs(shared, world.data)
    chosen = parts(files, world.seed)
    rows = dict(zip(("reference", "test"), roles, strict=False))
    found = []
    for part, role in rows.items():
        if role is None:
            continue
        manifest = folder / f"{world.name}-{part}.csv"
        manifest.write_text("path,label\n" + "".join(f"{f},{names[y]}\n" for f, y in chosen[part]))
        listed = (*names[1:3], names[0], *names[3:]) if exchanged else tuple(names)
        found.append(open_split(SplitSettings(name=part, path=manifest, role=role), listed))
    return found


LAB = ("reference", "test", None)


@dataclass
class Case:
    """A model with its splits, and how its images are truly prepared."""

    world: World
    shared: Path
    folder: Path

    def settle(
        self, roles: tuple[str | None, ...], *, exchanged: bool = False, **written: object
    ) -> tuple[Preprocessor, PreprocessingSummary]:
        model = open_model(train(self.world, self.shared, self.folder))
        found = splits(self.world, self.shared, self.folder, roles, exchanged=exchanged)
        settings = PreprocessingSettings.model_validate({key: value for key, value in written.items() if value})
        return settle_preprocessing(settings, found, model, Streams(9))

    def verdicts(self, prepared: Preprocessor, summary: PreprocessingSummary) -> dict[str, str]:
        """By key. The photographs of market are square, so that no way of resizing is another one."""
        world = self.world
        truth = replace(prepared, scale=world.scale, channel_order=world.order)
        same = same_map(pixel_map(prepared), pixel_map(truth))
        right = {"scale": same or summary.scale == truth.scale_text,
                 "channel_order": same or summary.channel_order == world.order,
                 "resize": world.data == "market" or summary.resize == world.resize,
                 "loader": summary.loader == world.loader}  # fmt: skip
        verdicts = {}
        for key, ok in right.items():
            source = summary.source_of(key)
            if key == "loader" and source is None:
                source = summary.source_of("interpolation")
            verdicts[key] = "undecided" if source == "undecided" else f"{'right' if ok else 'WRONG'} ({source})"
        return verdicts

    def misstated(self) -> dict[str, str]:
        """By wrong setting, whether a warning came."""
        world, told = self.world, {}
        scale = next(s for s in ("-1-1", "0-255", "0-1") if s != world.scale)
        order = "bgr" if world.order == "rgb" else "rgb"
        for name, keys in (("scale", {"scale": scale, "channel_order": world.order}),
                           ("channel order", {"scale": world.scale, "channel_order": order})):  # fmt: skip
            _, summary = self.settle(LAB, resize=world.resize, loader=world.loader, **keys)
            slugs = {finding.slug for finding in of_preparation(summary)}
            warned = slugs & {"preparation-worse", "preparation-against-file"}
            told[f"{name} {keys['scale']} {keys['channel_order']}"] = "warned" if warned else "not warned"
        return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=[*WORLDS, "both"], default="both")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[tuple[str, str]] = Counter()
    keys = ("scale", "channel_order", "resize", "loader")
    print("| model | truth | given | accuracy | scale | channel order | resize | loader |\n" + "|---" * 8 + "|")
    for half in WORLDS if options.half == "both" else [options.half]:
        for world in WORLDS[half]:
            case = Case(world, options.shared, options.folder)
            runs = [(name, case.settle(roles)) for name, roles in ROLES.items()]
            runs.append(("names exchanged", case.settle(LAB, exchanged=True)))
            for name, (prepared, summary) in runs:
                verdicts = case.verdicts(prepared, summary)
                accuracy = 100 * summary.accuracy.value
                print(f"| {world.name} | {world.text} | {name} | {accuracy:.1f} % | "
                      + " | ".join(verdicts[key] for key in keys) + " |", flush=True)  # fmt: skip
                for key, verdict in verdicts.items():
                    where = "field only" if name == "field" else "with a lab"
                    counts[f"{half}, {where}", f"{key} {verdict.split()[0]}"] += 1
            for name, told in case.misstated().items():
                print(f"| {world.name} | {world.text} | written: {name} | | {told} | | | |", flush=True)
                counts[f"{half}, wrong setting", told] += 1
    print()
    for (where, verdict), n in sorted(counts.items()):
        print(f"- {where}: {verdict}: {n}")
    for key in keys:
        rows = [(v, n) for (where, v), n in counts.items() if "with a lab" in where and v.startswith(f"{key} ")]
        decided, total = sum(n for v, n in rows if "undecided" not in v), sum(n for _, n in rows)
        print(f"- {key} decided with a lab: {wilson(decided, total).text(share=True)}")


if __name__ == "__main__":
    main()
