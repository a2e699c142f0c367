"""Masks of the object are fitted as the images are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.masks import read_masks
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import open_split
from fruitaudit.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two wide images; the first has a mask that is white on its left half."""
    for name in ("a/1.png", "a/2.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), "red").save(tmp_path / "images" / name)
    half = np.zeros((20, 40), np.uint8)
    half[:, :20] = 255
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.fromarray(half).save(tmp_path / "masks/a/1.png")
    return tmp_path


def split(folder: Path, masks: Path | None):
    return open_split(SplitSettings(name="field", path=folder / "images", role="field", masks=masks), ("a",))


@pytest.mark.parametrize(("resize", "columns"), [("stretch", 5), ("center_crop", 5), ("pad", 5)])
def test_masks_take_the_same_way_as_images(folder: Path, resize: str, columns: int) -> None:
    opened = split(folder, folder / "masks")
    masks = read_masks(opened.samples, Preprocessor(10, 10, 3, resize, "area", "0-1"))
    assert masks is not None
    assert np.isnan(masks[1]).all()
    assert set(np.unique(masks[0])) == {0.0, 1.0}
    assert masks[0].max(axis=0).nonzero()[0].tolist() == list(range(columns))
    # Padding adds rows that are not the object; stretching and cropping do not.
    assert masks[0][:, 0].sum() == (5 if resize == "pad" else 10)
    assert "1 of 2 samples have a mask of the object" in opened.notes


def test_no_masks_are_none(folder: Path) -> None:
    opened = split(folder, None)
    assert read_masks(opened.samples, Preprocessor(10, 10, 3, "stretch", "area", "0-1")) is None


def test_a_broken_mask_is_named(folder: Path) -> None:
    (folder / "masks/a/1.png").write_bytes(b"no picture")
    opened = split(folder, folder / "masks")
    with pytest.raises(DataError, match=r"mask .*1\.png of field/a/1\.png cannot be read"):
        read_masks(opened.samples, Preprocessor(10, 10, 3, "stretch", "area", "0-1"))


def test_masks_that_pair_with_nothing_are_refused(folder: Path) -> None:
    (folder / "masks/a/1.png").rename(folder / "masks/a/9.png")
    with pytest.raises(DataError, match="which is how masks pair"):
        split(folder, folder / "masks")
