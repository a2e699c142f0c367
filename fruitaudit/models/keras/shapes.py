"""The shape of the images a model takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fruitaudit.errors import ModelError
from fruitaudit.models.keras.backend import tf


def input_shape_of(network: Any, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """(height, width, channels). `size` fills in a height and width that the model leaves open."""
    shape = _declared(network)
    if len(shape) != 4:
        raise ModelError(f"the model's input has the shape {shape}; an image classifier takes "
                         "(images, height, width, channels)")  # fmt: skip
    if any(getattr(layer, "data_format", None) == "channels_first" for layer in _all_layers(network)):
        raise ModelError("the model takes images with the channels first; save it with data_format channels_last")
    batch, height, width, channels = shape
    if batch is not None:
        raise ModelError(f"the model takes exactly {batch} images at a time; save it with an open batch axis")
    if channels is None:
        raise ModelError("the model leaves the number of colour channels open; save it with a fixed number")
    if 0 in (height, width, channels):
        raise ModelError(f"the model takes images of {height} x {width} x {channels}, which are empty")
    if height in (1, 3) and channels not in (1, 3, 4):
        raise ModelError(f"the model takes arrays of {height} x {width} x {channels}, which looks like channels first; "
                         "put keras.layers.Permute((3, 1, 2)) in front of it, and save that")  # fmt: skip
    if size is not None:
        if (height, width) not in ((None, None), size) and None not in (height, width):
            raise ModelError(f"the model takes images of {height} x {width}, but preprocessing.size says "
                             f"{size[0]} x {size[1]}; leave it out")  # fmt: skip
        return size[0], size[1], channels
    if height is None or width is None:
        raise ModelError("the model leaves the size of its images open; write it down under "
                         "model.preprocessing.size: [height, width] (for init: --size HEIGHT WIDTH)")  # fmt: skip
    return height, width, channels


def keep_grouped_convolutions_apart(network: Any) -> None:
    """Keep TensorFlow from fusing convolutions with their activation, for this process, where one has groups.

    Some processors have no fused kernel for groups: their passes end in UnimplementedError.
    """
    if any(getattr(layer, "groups", 1) not in (1, None) for layer in _all_layers(network)):
        tf.config.optimizer.set_experimental_options({"remapping": False})


def _declared(network: Any) -> tuple[int | None, ...]:
    inputs = getattr(network, "inputs", None)
    if inputs:
        if len(inputs) != 1:
            raise ModelError(f"the model has {len(inputs)} inputs; an image classifier takes one image")
        return tuple(inputs[0].shape)
    # A subclassed model knows the shape it was first called with.
    built = network.get_build_config() or {}
    shape = built.get("input_shape")
    if shape is None:
        raise ModelError("the model does not know the shape of its input; call it on an image once before it is saved")
    return (None, *shape[1:])


def _all_layers(network: Any) -> Iterator[Any]:
    for layer in getattr(network, "layers", ()):
        yield layer
        yield from _all_layers(layer)
