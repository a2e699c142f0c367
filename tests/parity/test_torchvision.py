"""torchvision's Resize and CenterCrop on PIL images, in an environment of its own.

python3 -m venv torch && torch/bin/pip install torch==2.13.0 torchvision==0.28.0
FRUITAUDIT_TORCH_PYTHON=torch/bin/python pytest tests/parity/test_torchvision.py
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fruitaudit.config.loaders import LOADERS
from fruitaudit.data.preprocess import Preprocessor

PYTHON = os.environ.get("FRUITAUDIT_TORCH_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="FRUITAUDIT_TORCH_PYTHON names no interpreter with torchvision")

SIZES = [(300, 400), (401, 257), (64, 64), (30, 90), (7, 5)]
WAYS = [
    {"interpolation": how, "shorter_side": shorter, "target": target}
    for how in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
    for shorter, target in ((256, (224, 224)), (24, (33, 20)), (40, (31, 33)), (None, (50, 60)))
]


def test_resize_and_center_crop(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
    arrays = {f"x{i}": picture for i, picture in enumerate(pictures)}
    np.savez(tmp_path / "cases.npz", ways=np.array(json.dumps(WAYS)), **arrays)
    child = Path(__file__).with_name("torchvision_child.py")
    done = subprocess.run([str(PYTHON), "-I", str(child), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    for w, way in enumerate(WAYS):
        loader = replace(LOADERS["torchvision"], shorter_side=way["shorter_side"])
        resize = "center_crop" if way["shorter_side"] else "stretch"
        fitter = Preprocessor(*way["target"], 3, resize, way["interpolation"], "0-255", loader=loader)
        for i, picture in enumerate(pictures):
            np.testing.assert_array_equal(fitter.fitted(picture), found[f"{w}-{i}"], str((way, picture.shape)))


def test_256_for_224_is_the_default() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    default, written = (
        Preprocessor(
            224, 224, 3, "center_crop", "bilinear", "0-1", loader=replace(LOADERS["torchvision"], shorter_side=n)
        )
        for n in (None, 256)
    )
    np.testing.assert_array_equal(default.fitted(picture), written.fitted(picture))
