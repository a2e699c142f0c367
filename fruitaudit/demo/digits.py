"""A small case made on the spot: handwritten digits as scanned in the lab, and as photographed in the field.

The images are scikit-learn's bundled digits (UCI, 8 x 8), enlarged to 28 x 28 grey. The field photographs show
digits that neither training nor test has seen, as chalk on an unevenly lit board: tilted, off-centre, grainy. The
model is a small CNN trained on the lab images alone, so it fails in the field for reasons that are known.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fruitaudit.demo.folder import CONFIG, write_case
from fruitaudit.records.data import ByteArray, FloatArray
from fruitaudit.resources import resource
from fruitaudit.runtime.files import write_text
from fruitaudit.runtime.streams import Streams

SIDE, LARGE = 28, 168
MODEL = "digits_cnn.keras"
OWNED = (CONFIG, MODEL, "field", "field_originals", "lab")
SPLITS = {"lab/train": (0, 1000), "lab/test": (1000, 1400), "field": (1400, 1797)}


def make_case(folder: Path, *, seed: int = 9) -> Path:
    """Write images, model and `fruitaudit.yaml` into `folder`; return the path of the config. About 20 s.

    Raises ConfigError where that would replace what is not of a case.
    """
    return write_case(folder, OWNED, lambda staging: _make(staging, seed))


def _make(folder: Path, seed: int) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    for name, (first, last) in SPLITS.items():
        for i in range(first, last):
            framed = np.pad(digits.images[i].astype(np.float32) / 16, 1)
            ink = cv2.resize(framed, (LARGE, LARGE), interpolation=cv2.INTER_CUBIC)
            label = f"digit {digits.target[i]}"
            if name == "field":
                photo = _photograph(np.clip(ink, 0, 1), Streams(seed).rng("digits", str(i)))
                _write(folder / "field_originals" / label / f"{i:04d}.png", photo)
            else:
                photo = (255 * np.clip(ink, 0, 1)).astype(np.uint8)
            _write(
                folder / name / label / f"{i:04d}.png", cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            )
    _train(folder, seed)
    write_text(folder / CONFIG, resource("configs", "digits.yaml").read_text(encoding="utf-8"))


def _photograph(ink: FloatArray, rng: np.random.Generator) -> ByteArray:
    """White writing on a black scan -> chalk on an unevenly lit board, tilted and shifted."""
    turn = cv2.getRotationMatrix2D((LARGE / 2, LARGE / 2), rng.uniform(-25, 25), rng.uniform(0.65, 0.95))
    turn[:, 2] += rng.uniform(-0.08 * LARGE, 0.08 * LARGE, size=2)
    strokes = cv2.warpAffine(ink, turn, (LARGE, LARGE), flags=cv2.INTER_LINEAR)
    ramp = np.linspace(0, rng.uniform(0.1, 0.4), LARGE)
    board = rng.uniform(0.1, 0.3) + (ramp[:, None] if rng.random() < 0.5 else ramp[None, :])
    grain = cv2.GaussianBlur(rng.normal(0, 0.12, (LARGE, LARGE)), (0, 0), 1.5)
    photo = board + strokes * rng.uniform(0.35, 0.65) + grain
    return (255 * np.clip(photo, 0, 1)).astype(np.uint8)


def _write(path: Path, pixels: ByteArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _train(folder: Path, seed: int) -> None:
    """Train the lab model: two convolutions, 20 epochs."""
    from fruitaudit.models.keras.backend import keras

    keras.utils.set_random_seed(seed)
    paths = sorted((folder / "lab/train").glob("*/*.png"))
    images = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in paths]
    labels = [int(path.parent.name.removeprefix("digit ")) for path in paths]
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(8, 3, activation="relu", name="conv_1"),
            layers.MaxPooling2D(name="pool_1"),
            layers.Conv2D(16, 3, activation="relu", name="conv_2"),
            layers.MaxPooling2D(name="pool_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits_cnn",
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.stack(images)[..., None] / np.float32(255), np.array(labels), epochs=20, batch_size=32, verbose=0)
    model.save(folder / MODEL)
