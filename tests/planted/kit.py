"""Small worlds with one known fault each: rendered fruit, tiny models, and the audit's own way in.

Faults are planted by the renderer's means (another scene), by what is done to files or labels, or in the config; never
by the operations with which the diagnosis looks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from fruitaudit.demo.fruit.render import render
from fruitaudit.demo.fruit.scene import Light, Scene, lab_scene
from fruitaudit.runtime import Streams

CLASSES = ("Apple Golden", "Apple Granny Smith", "Apple Red", "Avocado", "Clementine", "Nectarine", "Onion Red", "Pear")
SIDE = 48
PER_CLASS = {"train": 100, "test": 16, "field": 16}

Toggle = Callable[[Scene, np.random.Generator], Scene]


def same(scene: Scene, _: np.random.Generator) -> Scene:
    return scene


def scenes(split: str, per_class: int, toggle: Toggle = same) -> list[tuple[str, Scene]]:
    """(class, scene): one fruit on white, at 0.55 to 0.9 of the picture; then one factor changed."""
    found = []
    for name in CLASSES:
        for i in range(per_class):
            rng = Streams(9).rng("planted", split, name, str(i))
            scene = replace(lab_scene(name, split, i, 9), scale=float(rng.uniform(0.55, 0.9)))
            found.append((name, toggle(scene, rng)))
    return found


@lru_cache(maxsize=None)
def _rendered(scene: Scene) -> np.ndarray:
    return render(scene, SIDE)[0]


@dataclass(frozen=True)
class Pictures:
    """`pixels` (N, 48, 48, 3) uint8 RGB and the index of each one's class, (N,)."""

    pixels: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, listed: Sequence[tuple[str, Scene]]) -> Pictures:
        labels = np.array([CLASSES.index(name) for name, _ in listed])
        return cls(np.stack([_rendered(scene) for _, scene in listed]), labels)

    def select(self, rows: np.ndarray) -> Pictures:
        return Pictures(self.pixels[rows], self.labels[rows])


def train(pictures: Pictures, epochs: int = 14, seed: int = 9) -> Any:
    """36,000 parameters, without augmentation: as brittle as the vendor's."""
    from fruitaudit.models.backend import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(48, activation="relu"),
            layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pictures.pixels / np.float32(255), pictures.labels, batch_size=32, epochs=epochs, verbose=0)
    return model


def write_split(folder: Path, pictures: Pictures) -> Path:
    """Class folders of PNG files."""
    for i, (pixels, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True)):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{i:04d}.png"), pixels[..., ::-1])
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
