from __future__ import annotations

import cv2
import numpy as np
from diagnosis.planted_cases import SIDE, discs, masked_split, split_sample

from fruitaudit.diagnosis.images.layers import fill
from fruitaudit.diagnosis.images.masks import SURE, by_grabcut, by_uniform_background, find_masks

PIXELS, LABELS = discs()


def truth(radius: float = 14.0) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.hypot(y - SIDE / 2, x - SIDE / 2) <= radius


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_an_object_on_white_is_found_by_its_background() -> None:
    masks = find_masks(split_sample(PIXELS, LABELS))
    assert set(masks.origins) == {"uniform"}
    assert (masks.confidence >= SURE).all()
    assert min(iou(mask, truth()) for mask in masks.values) > 0.8


def test_a_blurred_outline_is_drawn_half_way() -> None:
    blurred = cv2.GaussianBlur(PIXELS[0], (0, 0), 2.5)
    mask, confidence = by_uniform_background(blurred)
    assert confidence >= SURE
    assert 0.8 < mask.sum() / truth().sum() < 1.25


def test_an_object_cut_by_the_border_of_a_studio_is_found() -> None:
    moved = np.roll(PIXELS[0], 20, axis=1)
    moved[:, :12] = 255
    mask, confidence = by_uniform_background(moved)
    assert confidence >= SURE
    assert mask[24, -1]
    assert not mask[2, 2]


def test_noise_has_no_sure_mask() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8)
    assert (find_masks(split_sample(noise, np.zeros(4, int))).confidence < SURE).all()


def test_one_colour_all_over_is_no_object() -> None:
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert by_uniform_background(flat)[1] == 0
    assert by_grabcut(flat)[1] == 0


def test_the_datas_own_mask_is_taken_as_given() -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:10, :10] = 1
    sample = split_sample(PIXELS[:1], LABELS[:1])
    object.__setattr__(sample, "data_masks", (mask,))
    masks = find_masks(sample)
    assert masks.origins == ("data",)
    assert (masks.values[0] == mask.astype(bool)).all()


def test_cut_out_and_put_back_is_the_same_picture() -> None:
    split = masked_split(PIXELS, LABELS)
    pixels = split.cutouts[np.arange(len(PIXELS))].flat().astype(int)
    assert np.abs(pixels - PIXELS).mean() < 0.5
    assert np.quantile(np.abs(pixels - PIXELS), 0.999) <= 24


def test_an_unsure_mask_leaves_the_picture_alone() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    split = masked_split(noise, np.zeros(2, int))
    assert (split.cutouts[np.arange(2)].flat() == noise).all()


def test_fill_keeps_what_is_known_and_continues_it() -> None:
    ramp = np.repeat(np.linspace(0, 255, SIDE, dtype=np.float32)[None, :, None], SIDE, axis=0).repeat(3, axis=2)
    valid = ~truth(6)
    filled = fill(ramp, valid)
    assert np.abs(filled - ramp)[valid].max() < 1e-3
    assert np.abs(filled - ramp)[~valid].mean() < 12
