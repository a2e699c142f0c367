"""Small made-up splits for the tests of the diagnosis: discs on a background, with everything about them known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, SplitPair
from fruitaudit.diagnosis.images.masks import find_masks
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import Sample
from fruitaudit.runtime.streams import Streams

SIDE = 48
COLOURS = np.array([(200, 60, 40), (90, 160, 50), (220, 180, 40), (150, 60, 120)])


def discs(
    n_per_class: int = 10, radius: float = 14.0, seed: int = 0, texture: float = 20.0, coarse: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 48, 48, 3) uint8 textured discs of four colours on white, near the middle, and their labels."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for label, colour in enumerate(COLOURS):
        for _ in range(n_per_class):
            y, x = np.mgrid[:SIDE, :SIDE] + rng.uniform(-1.5, 1.5, 2)[:, None, None]
            r = np.hypot(y - SIDE / 2, x - SIDE / 2)
            cover = np.clip(radius - r + 0.5, 0, 1)[..., None]
            grain = cv2.GaussianBlur(rng.normal(0, texture, (SIDE, SIDE)), (0, 0), coarse)[..., None]
            shade = np.clip(colour * (1.1 - 0.4 * (r / radius)[..., None]) + grain, 0, 255)
            images.append(cover * shade + (1 - cover) * 255)
            labels.append(label)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8), np.array(labels)


def split_sample(
    pixels: np.ndarray, labels: np.ndarray, split: str = "test", predicted: np.ndarray | None = None
) -> SplitSample:
    n = len(pixels)
    samples = tuple(Sample(f"{split}/{i}", int(label), Path(f"{split}{i}.png")) for i, label in enumerate(labels))
    return SplitSample(
        split=split,
        role="field" if split == "field" else "test",
        samples=samples,
        pixels=pixels,
        labels=labels.astype(np.int64),
        predicted=(labels if predicted is None else predicted).astype(np.int64),
        sources=np.arange(n, dtype=np.int64),
        sources_known=False,
        data_masks=(None,) * n,
        sizes=np.full((n, 2), SIDE, np.int64),
        jpeg_quality=np.full(n, 100, np.int64),
        population=n,
    )


def masked_split(pixels: np.ndarray, labels: np.ndarray, split: str = "test") -> MaskedSplit:
    sample = split_sample(pixels, labels, split)
    return MaskedSplit(sample, find_masks(sample))


def split_pair(field: np.ndarray, lab: np.ndarray | None = None) -> SplitPair:
    """Discs in the lab, `field` pixels (of the same number and labels) in the field."""
    pixels, labels = discs()
    return SplitPair.of(
        masked_split(pixels if lab is None else lab, labels), masked_split(field, labels, "field"), Streams(9)
    )
