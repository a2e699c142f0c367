"""Writes the fruit case: photographs of the lab and the store, masks, the trained models and their config."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from fruitaudit.demo.fruit.bodies import CLASSES
from fruitaudit.demo.fruit.scene import lab_scene, store_scene
from fruitaudit.demo.fruit.shoot import shoot
from fruitaudit.records.data import ByteArray
from fruitaudit.resources import resource
from fruitaudit.runtime import write_text

CLASSIFIER, AUTOENCODER = "fruit_cnn.keras", "fruit_autoencoder.keras"
SIDE, LARGE = 100, 400
N_LAB, N_STORE = 40, 20
"""Images a class in each lab split, and in the store."""


def make_case(folder: Path, *, seed: int = 9) -> Path:
    """Write images, masks, models and `fruitaudit.yaml` into `folder`; return the path of the config. About 20 s."""
    lab = [(split, name, i) for split in ("train", "test") for name in CLASSES for i in range(N_LAB)]
    scenes = [lab_scene(name, split, i, seed) for split, name, i in lab]
    for (split, name, i), (pixels, mask) in zip(lab, shoot(scenes, SIDE), strict=True):
        _write(folder / "lab" / split / name / f"{i:03d}.png", pixels)
        _write(folder / "lab_masks" / split / name / f"{i:03d}.png", (255 * mask).astype(np.uint8))
    store = [(name, i) for name in CLASSES for i in range(N_STORE)]
    photos = [store_scene(name, i, seed) for name, i in store]
    for (name, i), (pixels, mask) in zip(store, shoot(photos, SIDE), strict=True):
        _write(folder / "store" / name / f"{i:03d}.png", pixels)
        _write(folder / "store_masks" / name / f"{i:03d}.png", (255 * mask).astype(np.uint8))
    for (name, i), (pixels, _) in zip(store, shoot(photos, LARGE), strict=True):
        _write(folder / "store_originals" / name / f"{i:03d}.jpg", pixels)
    for model in (CLASSIFIER, AUTOENCODER):
        shutil.copyfile(Path(__file__).with_name(model), folder / model)
    config = folder / "fruitaudit.yaml"
    write_text(config, resource("configs", "demo.yaml").read_text(encoding="utf-8"))
    return config


def _write(path: Path, pixels: ByteArray) -> None:
    """RGB or grey pixels into a file of the kind that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes())
