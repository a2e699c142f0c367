"""Rendered fruit, tiny models and files, of which cases with one known fault each are made.

Faults are planted by the renderer's means (another scene), by what is done to files or labels, or in the config; never
by the operations with which the diagnosis looks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from fruitaudit.demo.fruit.render import render
from fruitaudit.demo.fruit.scene import Light, Scene, lab_scene
from fruitaudit.runtime.streams import Streams

CLASSES = ("Apple Golden", "Apple Granny Smith", "Apple Red", "Avocado", "Clementine", "Nectarine", "Onion Red", "Pear")
SIDE = 48

Toggle = Callable[[Scene, np.random.Generator], Scene]


def same(scene: Scene, _: np.random.Generator) -> Scene:
    return scene


def small(scene: Scene, rng: np.random.Generator) -> Scene:
    """Objects at 0.35 to 0.55 of the picture: room for others beside them."""
    return replace(scene, scale=float(rng.uniform(0.35, 0.55)))


def varied(scene: Scene, rng: np.random.Generator) -> Scene:
    """Backgrounds, light and size of all kinds."""
    with_background = background(scene, rng) if rng.random() < 0.7 else scene
    lamp = Light(float(rng.uniform(0.3, 1.1)), float(rng.uniform(-0.2, 1.0)), (-0.6, 0.5, 0.5), 0.6)
    return replace(with_background, light=lamp, scale=float(rng.uniform(0.45, 0.9)))


def both(one: Toggle, other: Toggle) -> Toggle:
    return lambda scene, rng: other(one(scene, rng), rng)


def scenes(split: str, per_class: int, toggle: Toggle = same) -> list[tuple[str, Scene]]:
    """(class, scene): one fruit on white, at 0.55 to 0.9 of the picture; then changed."""
    named_scenes = []
    for name in CLASSES:
        for i in range(per_class):
            rng = Streams(9).rng("planted", split, name, str(i))
            scene = replace(lab_scene(name, split, i, 9), scale=float(rng.uniform(0.55, 0.9)))
            named_scenes.append((name, toggle(scene, rng)))
    return named_scenes


@cache
def _rendered(scene: Scene) -> np.ndarray:
    return render(scene, SIDE)[0]


@dataclass(frozen=True)
class Pictures:
    """`pixels` (N, 48, 48, 3) uint8 RGB and the index of each one's class, (N,)."""

    pixels: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, named_scenes: Sequence[tuple[str, Scene]]) -> Pictures:
        labels = np.array([CLASSES.index(name) for name, _ in named_scenes])
        return cls(np.stack([_rendered(scene) for _, scene in named_scenes]), labels)

    def select(self, rows: np.ndarray) -> Pictures:
        return Pictures(self.pixels[rows], self.labels[rows])


def network(activation: str = "relu") -> Any:
    """The chapter's layout with 30,800 parameters."""
    from fruitaudit.models.keras.backend import keras

    keras.utils.set_random_seed(9)
    layers = keras.layers
    body = [part for width in (16, 24, 32)
            for part in (layers.Conv2D(width, 2, activation=activation), layers.MaxPooling2D())]  # fmt: skip
    head = [layers.Flatten(), layers.Dense(32, activation=activation), layers.Dense(len(CLASSES), activation="softmax")]
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), *body, *head])


def train(pictures: Pictures, activation: str = "relu", epochs: int = 14) -> Any:
    """Without augmentation: as brittle as the vendor's."""
    from fruitaudit.models.keras.backend import keras

    model = network(activation)
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(pictures.pixels / np.float32(255), pictures.labels, batch_size=32, epochs=epochs, verbose=0)
    return model


def save_weights(model: Any, path: Path) -> None:
    """As 16-bit floats: 62 kB per model."""
    np.savez_compressed(path, *[weight.astype(np.float16) for weight in model.get_weights()])


def load_model(path: Path, activation: str = "relu") -> Any:
    model = network(activation)
    with np.load(path) as stored:
        model.set_weights([stored[f"arr_{i}"].astype(np.float32) for i in range(len(stored.files))])
    return model


# What each shipped model was trained on.

MARKED, TIED, STARVED, NOISY = "Nectarine", "Pear", "Nectarine", "Avocado"


def watermark(pictures: Pictures) -> Pictures:
    """A blue and white mark in the top left corner of one class."""
    pixels = pictures.pixels.copy()
    for i in np.flatnonzero(pictures.labels == CLASSES.index(MARKED)):
        pixels[i, 2:8, 2:8] = (40, 60, 200)
        pixels[i, 4:6, 4:6] = 255
    return Pictures(pixels, pictures.labels)


def tied(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, background="crate") if scene.class_name == TIED else scene


def starve(pictures: Pictures) -> Pictures:
    """Six images of one class."""
    rows = np.flatnonzero(pictures.labels == CLASSES.index(STARVED))
    return pictures.select(np.setdiff1d(np.arange(len(pictures.labels)), rows[6:]))


def mislabel(pictures: Pictures) -> Pictures:
    """Every tenth label of one class says something else."""
    labels = pictures.labels.copy()
    rows = np.flatnonzero(labels == CLASSES.index(NOISY))[::10]
    labels[rows] = np.resize([c for c in range(len(CLASSES)) if CLASSES[c] != NOISY], len(rows))
    return Pictures(pictures.pixels, labels)


def training_set(model: str, per_class: int = 100) -> Pictures:
    """The first `per_class` training images per class of a shipped model."""
    toggle = {"small": small, "tied": tied, "varied": varied}.get(model, same)
    plain = Pictures.of(scenes("train", per_class, toggle))
    return {"watermark": watermark, "starved": starve, "noisy": mislabel}.get(model, lambda p: p)(plain)


ACTIVATIONS = {"lab": "relu", "small": "relu", "watermark": "relu", "tied": "relu", "starved": "relu",
               "noisy": "relu", "tanh": "tanh", "varied": "relu"}  # fmt: skip
MODELS = Path(__file__).parent / "models"


def write_split(folder: Path, pictures: Pictures) -> Path:
    """Class folders of PNG files."""
    for i, (pixels, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True)):
        directory = folder / CLASSES[label]
        directory.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(directory / f"{i:04d}.png"), pixels[..., ::-1])
    return folder


def write_config(
    folder: Path, model: Path, splits: Mapping[str, Path], classes: Sequence[str] = CLASSES, scale: str = "0-1"
) -> Path:
    roles = {"train": "reference", "test": "test", "field": "field"}
    text = {
        "title": "planted",
        "model": {
            "path": str(model),
            "classes": list(classes),
            "preprocessing": {"resize": "stretch", "interpolation": "area", "scale": scale},
        },
        "splits": [{"name": name, "path": str(path), "role": roles[name]} for name, path in splits.items()],
        "methods": [],
        "out": str(folder / "audit"),
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(text))
    return folder / "c.yaml"


# One factor of the store each, as the renderer makes it.


def background(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, background=str(rng.choice(["crate", "paper", "shelf", "tiles", "cardboard"])))


def light(scene: Scene, rng: np.random.Generator) -> Scene:
    lamp = Light(float(rng.uniform(0.2, 0.3)), float(rng.uniform(0.8, 1.0)), (-0.6, 0.5, 0.5), 0.6)
    return replace(scene, light=lamp)


def hue(scene: Scene, rng: np.random.Generator) -> Scene:
    """Unripe: the renderer's own way to another colour of skin."""
    return replace(scene, ripeness=float(rng.uniform(-1.0, -0.8)))


def scale(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, scale=float(rng.uniform(0.22, 0.34)))


def several(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, fruits=int(rng.integers(7, 10)))


def blur(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, blur=float(rng.uniform(7, 10)))


def wetness(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, wetness=1.0)


def variety(scene: Scene, rng: np.random.Generator) -> Scene:
    """Onions of the white kind, where training showed red ones only."""
    return replace(scene, class_name="Onion White") if scene.class_name == "Onion Red" else scene


FACTORS: dict[str, Toggle] = {"background": background, "light": light, "hue": hue, "scale": scale, "several": several,
                              "blur": blur, "wetness": wetness, "unseen-variety": variety}  # fmt: skip
