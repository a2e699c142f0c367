"""The autoencoder that keeps counterfactuals near real images."""

from __future__ import annotations

from pathlib import Path

from fruitaudit.attribution.base import Model
from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import Autoencoder
from fruitaudit.models.open import open_autoencoder
from fruitaudit.records.data import FloatArray, Images


def fitting_autoencoder(path: str, model: Model, images: Images) -> tuple[Autoencoder, FloatArray]:
    """The autoencoder, and what it makes of the images: (N, H, W, C) float32.

    Raises ModelError for a file that cannot be loaded, or is code. Raises CannotExplain where it does not take what
    the model takes, or answers in another range of numbers.
    """
    autoencoder, name = open_autoencoder(Path(path), model.input_shape), Path(path).name
    shape = _by(model.input_shape)
    try:
        outputs = autoencoder.reconstructions(images.values)
    except ValueError as error:
        raise CannotExplain(f"the autoencoder {name} does not take the model's images of {shape}; train one on the "
                            "model's inputs") from error  # fmt: skip
    if outputs.shape != images.values.shape:
        raise CannotExplain(f"the autoencoder {name} turns images of {shape} into {_by(outputs.shape[1:])}; train one "
                            "that returns what it was given")  # fmt: skip
    reach = abs((outputs - images.low) / (images.high - images.low)).max()
    if not 0.02 < reach < 10:
        raise CannotExplain(f"the autoencoder {name} answers in {outputs.min():.4g} to {outputs.max():.4g}, while the "
                            f"model's inputs run from {images.low.min():.4g} to {images.high.max():.4g}; train one on "
                            "the model's inputs")  # fmt: skip
    return autoencoder, outputs


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
