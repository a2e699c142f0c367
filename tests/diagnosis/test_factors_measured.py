"""Each factor is measured where it was put, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from diagnosis.planted_cases import SIDE, discs, split_pair

from fruitaudit.diagnosis.factors.colours import shift
from fruitaudit.diagnosis.gap.change import changed_pixels
from fruitaudit.diagnosis.gap.measuring import measure_factors
from fruitaudit.records.states import NotRun

PIXELS, LABELS = discs(seed=5)


def shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 0, scale)
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA, borderValue=(255, 255, 255))


def repainted(image: np.ndarray) -> np.ndarray:
    """The object's red and blue exchanged; white stays white."""
    return image[..., ::-1]


def on_stripes(image: np.ndarray) -> np.ndarray:
    stripes = np.where((np.arange(SIDE) // 6 % 2)[:, None, None], (40, 70, 150), (90, 120, 200)).astype(np.uint8)
    stripes = np.broadcast_to(stripes, image.shape)
    return np.where((image.min(axis=2) > 245)[..., None], stripes, image)


FIELDS = {
    "nothing": lambda image: image,
    "light": lambda image: (image * np.array([0.6, 0.5, 0.4])).astype(np.uint8),
    "scale": lambda image: shrunk(image, 0.5),
    "blur": lambda image: cv2.GaussianBlur(image, (0, 0), 2.0),
    "hue": repainted,
}


@pytest.mark.parametrize("name", FIELDS)
def test_only_the_planted_factor_is_measured(name: str) -> None:
    factors = measure_factors(split_pair(np.stack([FIELDS[name](image) for image in PIXELS])))
    assert set(factors.changes) == ({name} if name != "nothing" else set()), {
        k: c.dose for k, c in factors.changes.items()
    }
    assert all(isinstance(reason, NotRun) and len(reason.reason) > 20 for reason in factors.not_run.values())


def test_the_measured_light_is_the_planted_gain() -> None:
    field = np.stack([FIELDS["light"](image) for image in PIXELS])
    gain = np.exp(measure_factors(split_pair(field)).measurements.once(shift).gain)
    assert gain == pytest.approx([0.6, 0.5, 0.4], abs=0.02)


def test_the_change_makes_the_lab_look_like_the_field() -> None:
    for name in ("light", "scale", "blur", "hue"):
        field = np.stack([FIELDS[name](image) for image in PIXELS])
        pair = split_pair(field)
        change = measure_factors(pair).changes[name]
        rows = np.arange(len(PIXELS))
        pixels = changed_pixels(pair.lab, [change], rows).astype(float)
        # Compared by the mean picture of each class: the discs are other specimens.
        for label in range(4):
            in_class = np.array(LABELS) == label
            before = np.abs(pair.lab.material.pixels[in_class].mean(0) - field[in_class].mean(0)).mean()
            after = np.abs(pixels[in_class].mean(0) - field[in_class].mean(0)).mean()
            assert after < 0.45 * before, (name, label, before, after)


def test_backgrounds_come_from_the_field_and_objects_stay() -> None:
    pair = split_pair(np.stack([on_stripes(image) for image in PIXELS]))
    change = measure_factors(pair).changes["background"]
    rows = np.arange(len(PIXELS))
    pixels = changed_pixels(pair.lab, [change], rows)
    corner, middle = pixels[:, :4, :4].mean(axis=(0, 1, 2)), np.s_[:, 20:28, 20:28]
    assert corner[2] > corner[0] + 40  # blue stripes, where white was
    assert np.abs(pixels[middle].astype(int) - pair.lab.material.pixels[middle]).max() <= 1
