#!/usr/bin/env python3
"""JPEG decoders against Pillow's on photographs: how far the pixels differ, in grey levels of 0 to 255.

    python benchmarks/decoders.py FOLDER... > benchmarks/decoders.md

Every JPEG below the folders is decoded by Pillow, by TensorFlow as `image_dataset_from_directory` and
`tf.io.decode_jpeg` do unless told otherwise, by TensorFlow with `dct_method="INTEGER_ACCURATE"`, and by OpenCV. Grey:
the decoder's own, against the luminance of Pillow's colours, as OpenCV computes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
Decode = Callable[[bytes], npt.NDArray[np.uint8]]


def decoders() -> dict[str, Decode]:
    """By name: the bytes of a file -> (h, w, 3), red first, or (h, w) grey."""
    import cv2
    import tensorflow as tf

    return {
        "TensorFlow": lambda data: np.asarray(tf.io.decode_image(data, channels=3, expand_animations=False)),
        "TensorFlow, INTEGER_ACCURATE": lambda data: np.asarray(
            tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        ),
        "OpenCV": lambda data: np.asarray(
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), np.uint8
        )[..., ::-1],
        "TensorFlow, grey": lambda data: np.asarray(tf.io.decode_image(data, channels=1))[..., 0],
        "OpenCV, grey": lambda data: np.asarray(
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION), np.uint8
        ),
    }


def with_pillow(data: bytes) -> npt.NDArray[np.uint8]:
    """(h, w, 3), as it lies in the file."""
    from PIL import Image

    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def differences(files: list[Path]) -> dict[str, tuple[float, int, float]]:
    """By decoder: mean over all values of all photographs, the largest, and the share of values that differ."""
    import cv2

    totals = {name: np.zeros(4) for name in decoders()}
    for file in files:
        data = file.read_bytes()
        colours = with_pillow(data)
        for name, decode in decoders().items():
            expected = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY) if name.endswith("grey") else colours
            apart = np.abs(decode(data) - np.asarray(expected, np.int16))
            total = totals[name]
            total[0] += apart.size
            total[1] += apart.sum()
            total[2] = max(total[2], apart.max())
            total[3] += (apart > 0).sum()
    return {name: (t[1] / t[0], int(t[2]), t[3] / t[0]) for name, t in totals.items()}


def main() -> None:
    """Print a Markdown page."""
    files = sorted(f for folder in sys.argv[1:] for f in Path(folder).rglob("*") if f.suffix in (".jpg", ".jpeg"))
    if not files:
        raise SystemExit("no JPEG below these folders; name folders of photographs")
    versions = ", ".join(f"{name} {version(name)}" for name in ("pillow", "tensorflow", "opencv-python-headless"))
    print("# JPEG decoders against Pillow's\n")
    print(f"Made by `python benchmarks/decoders.py FOLDER...` on {len(files):,} photographs; {versions}. "
          "Grey levels of 0 to 255.\n")  # fmt: skip
    print("| decoder | mean difference | largest | values that differ |\n|---|---|---|---|")
    for name, (mean, largest, share) in differences(files).items():
        print(f"| {name} | {mean:.3f} | {largest} | {100 * share:.1f} % |")


if __name__ == "__main__":
    main()
