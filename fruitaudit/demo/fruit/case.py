"""Writes the fruit case: photographs of the lab and the store, masks, the trained models and their config."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from fruitaudit.demo.folder import CONFIG, write_case
from fruitaudit.demo.fruit.bodies import CLASSES
from fruitaudit.demo.fruit.scene import Scene, lab_scene, store_scene
from fruitaudit.demo.fruit.shoot import shoot
from fruitaudit.records.data import ByteArray
from fruitaudit.resources import resource
from fruitaudit.runtime.files import write_text

CLASSIFIER, AUTOENCODER = "fruit_cnn.keras", "fruit_autoencoder.keras"
CONFIGS = {
    CONFIG: "demo.yaml",
    "chapter.yaml": "chapter.yaml",
    "quick.yaml": "quick.yaml",
    "ci.yaml": "ci.yaml",
}
"""The file in the case's folder and the shipped one it is."""
OWNED = (*CONFIGS, CLASSIFIER, AUTOENCODER, "lab", "lab_masks", "store", "store_masks", "store_originals")
SIDE, LARGE = 100, 400
N_LAB, N_STORE = 25, 20
"""Images per class in each lab split, and in the store."""


def make_case(folder: Path, *, seed: int = 9) -> Path:
    """Write images, masks, models and configs into `folder`; return the path of `fruitaudit.yaml`.

    Raises ConfigError where that would replace what is not of a case.
    """
    return write_case(folder, OWNED, lambda staging: _make(staging, seed))


def _make(folder: Path, seed: int) -> None:
    shots: list[tuple[Scene, int]] = []
    names: list[tuple[str, str]] = []
    for name in CLASSES:
        for split, n in (("train", N_LAB), ("test", N_LAB)):
            for i in range(n):
                shots.append((lab_scene(name, split, i, seed), SIDE))
                names.append((f"lab/{split}/{name}/{i:03d}.png", f"lab_masks/{split}/{name}/{i:03d}.png"))
        for i in range(N_STORE):
            scene = store_scene(name, i, seed)
            shots += [(scene, SIDE), (scene, LARGE)]
            names.append((f"store/{name}/{i:03d}.png", f"store_masks/{name}/{i:03d}.png"))
            names.append((f"store_originals/{name}/{i:03d}.jpg", ""))
    for (photo, outline), (pixels, mask) in zip(names, shoot(shots), strict=True):
        _write(folder / photo, pixels)
        if outline:
            _write(folder / outline, (255 * mask).astype(np.uint8))
    for model in (CLASSIFIER, AUTOENCODER):
        shutil.copyfile(Path(__file__).with_name(model), folder / model)
    for target, shipped in CONFIGS.items():
        write_text(folder / target, resource("configs", shipped).read_text(encoding="utf-8"))


def _write(path: Path, pixels: ByteArray) -> None:
    """RGB or grey pixels into a file of the kind that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes())
