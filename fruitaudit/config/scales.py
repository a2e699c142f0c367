"""How pixel values reach a model: the named scales a config may write."""

from __future__ import annotations

import difflib
from typing import Literal

ImagenetMode = Literal["caffe", "tf", "torch", "none"]

RANGES = ("0-1", "0-255", "-1-1")

APPLICATIONS: dict[str, ImagenetMode] = {
    "convnext": "none",
    "densenet": "torch",
    "efficientnet": "none",
    "efficientnet_v2": "none",
    "inception_resnet_v2": "tf",
    "inception_v3": "tf",
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
    "mobilenet_v3": "none",
    "nasnet": "tf",
    "resnet": "caffe",
    "resnet50": "caffe",
    "resnet_v2": "tf",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "xception": "tf",
}
"""Modules of `keras.applications` and what their `preprocess_input` does: "caffe" swaps to BGR and subtracts the
ImageNet mean, "tf" maps to -1..1, "torch" normalizes by ImageNet mean and deviation, "none" leaves 0..255."""


def known_scale(name: str) -> str:
    """The name, if it is a scale. Raises ValueError with the nearest one."""
    names = (*RANGES, *APPLICATIONS)
    if name in names:
        return name
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"scales are {', '.join(names)} or {{mean: [...], std: [...]}}"
    raise ValueError(f"{name!r} is no scale; {hint}")
