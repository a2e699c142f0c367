"""Trains the two models of the fruit case: `python -m fruitaudit.demo.train`. About 10 minutes on two cores.

The classifier is the book chapter's: four convolutions, 526,006 parameters, and sees the lab alone. The autoencoder,
5,828 parameters, is what the contrastive explanation method measures "looks like a fruit" with.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fruitaudit.demo.fruit.bodies import CLASSES
from fruitaudit.demo.fruit.case import AUTOENCODER, CLASSIFIER
from fruitaudit.demo.fruit.scene import Scene, lab_scene, store_scene
from fruitaudit.demo.fruit.shoot import shoot
from fruitaudit.records.data import FloatArray, IntArray

SIDE = 100


def classifier() -> Any:
    """The chapter's architecture, untrained."""
    from fruitaudit.models.keras.backend import keras

    layers = keras.layers
    stack = [keras.Input((SIDE, SIDE, 3), name="image")]
    for k, filters in enumerate((16, 32, 64, 128), 1):
        stack += [layers.Conv2D(filters, 2, activation="relu", name=f"conv_{k}"), layers.MaxPooling2D(name=f"pool_{k}")]
    stack += [
        layers.Dropout(0.3, name="dropout_1"),
        layers.Flatten(name="flatten"),
        layers.Dense(150, activation="relu", name="dense"),
        layers.Dropout(0.4, name="dropout_2"),
        layers.Dense(len(CLASSES), activation="softmax", name="fruit"),
    ]
    return keras.Sequential(stack, name="fruit_cnn")


def autoencoder() -> Any:
    """Half the side and one channel in the middle, untrained."""
    from fruitaudit.models.keras.backend import keras

    layers = keras.layers

    def conv(filters: int, name: str, activation: str | None = "relu") -> Any:
        return layers.Conv2D(filters, 3, padding="same", activation=activation, name=name)

    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3), name="image"),
            conv(16, "encode_1"),
            conv(16, "encode_2"),
            layers.MaxPooling2D(name="halve"),
            conv(1, "code", None),
            conv(16, "decode_1"),
            layers.UpSampling2D(name="double"),
            conv(16, "decode_2"),
            conv(3, "decode_3", "sigmoid"),
        ],
        name="fruit_autoencoder",
    )


def images_of(scenes: list[Scene]) -> tuple[FloatArray, IntArray]:
    """Model inputs (N, 100, 100, 3) in 0..1, and labels."""
    pixels = np.stack([photo for photo, _ in shoot([(scene, SIDE) for scene in scenes])])
    return (pixels / np.float32(255)).astype(np.float32), np.array(
        [CLASSES.index(scene.class_name) for scene in scenes]
    )


def train(folder: Path, *, per_class: int, epochs: int, seed: int) -> dict[str, float]:
    """Write both models into `folder`; return the accuracies on the lab test and in the store, and the mean error."""
    x, y = images_of([lab_scene(name, "train", i, seed) for name in CLASSES for i in range(per_class)])
    model, coder = classifier(), autoencoder()
    loss = "sparse_categorical_crossentropy"
    _fit(model, x, y, loss=loss, rate=1e-3, batch_size=64, epochs=epochs, seed=seed)
    quarter = x[::4]  # an epoch of the autoencoder costs ten of the classifier
    _fit(coder, quarter, quarter, loss="mse", rate=4e-3, batch_size=8, epochs=4, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / CLASSIFIER)
    coder.save(folder / AUTOENCODER)
    test_x, test_y = images_of([lab_scene(name, "test", i, seed) for name in CLASSES for i in range(40)])
    store_x, store_y = images_of([store_scene(name, i, seed) for name in CLASSES for i in range(20)])
    error = float(((coder.predict(test_x, verbose=0) - test_x) ** 2).mean())
    return {
        f"accuracy, lab test (n = {len(test_y)})": _accuracy(model, test_x, test_y),
        f"accuracy, store (n = {len(store_y)})": _accuracy(model, store_x, store_y),
        f"autoencoder's mean squared error, lab test (n = {len(test_y)})": error,
    }


def _fit(
    model: Any,
    x: FloatArray,
    y: FloatArray | IntArray,
    *,
    loss: str,
    rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
) -> None:
    """Train a twin and take its weights, so that the file is not three times as large for the optimizer's state."""
    from fruitaudit.models.keras.backend import keras

    keras.utils.set_random_seed(seed)
    twin = keras.models.clone_model(model)
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-len(x) // batch_size))
    twin.compile(keras.optimizers.Adam(schedule), loss=loss)
    twin.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=2)
    model.set_weights(twin.get_weights())


def _accuracy(model: Any, images: FloatArray, labels: IntArray) -> float:
    return float((model.predict(images, verbose=0).argmax(axis=1) == labels).mean())


def main() -> None:
    """Train, and say the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fruit", help="folder of the model files")
    parser.add_argument("--per-class", type=int, default=500, help="training images per class")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=9)
    args = parser.parse_args()
    figures = train(args.out, per_class=args.per_class, epochs=args.epochs, seed=args.seed)
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")


if __name__ == "__main__":
    main()
