"""Trains the models that the planted tests ship: `python tests/planted/train_models.py [name ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from planted import held_out
from planted.rendering import ACTIVATIONS, MODELS, save_weights, train, training_set

EPOCHS = {"varied": 30}


def main(names: list[str]) -> None:
    MODELS.mkdir(exist_ok=True)
    for name in names or [*ACTIVATIONS, *held_out.MODELS]:
        pictures_of = held_out.training_set if name in held_out.MODELS else training_set
        pictures = pictures_of(name, 200 if name == "varied" else 100)
        model = train(pictures, ACTIVATIONS.get(name, "relu"), EPOCHS.get(name, 14))
        accuracy = (model.predict(pictures.pixels / 255.0, verbose=0).argmax(axis=1) == pictures.labels).mean()
        save_weights(model, MODELS / f"{name}.npz")
        print(f"{name}: {model.count_params()} parameters, {100 * accuracy:.1f} % right on {len(pictures.labels)}")


if __name__ == "__main__":
    main(sys.argv[1:])
