from __future__ import annotations

import cv2
import numpy as np
import pytest
from diagnosis.planted_cases import SIDE, discs, split_pair

from fruitaudit.diagnosis.factors.guessed_layout import GuessedLayout, changes_of, guess_layout
from fruitaudit.diagnosis.gap.change import changed_pixels

PIXELS, LABELS = discs(seed=5)


def pile(image: np.ndarray) -> np.ndarray:
    """Sixteen small copies that fill the picture: nothing here has a background."""
    small = cv2.resize(image[8:40, 8:40], (SIDE // 4, SIDE // 4), interpolation=cv2.INTER_AREA)
    return np.where(np.tile(small, (4, 4, 1)) > 245, 60, np.tile(small, (4, 4, 1))).astype(np.uint8)


def test_a_pile_of_small_objects_is_guessed_as_one() -> None:
    pair = split_pair(np.stack([pile(image) for image in PIXELS]))
    layout = guess_layout(pair, ())
    assert layout.pile
    assert layout.scale <= 0.5
    changes = changes_of(pair, layout)
    assert set(changes) == {"scale", "several"}
    filled = changed_pixels(pair.lab, list(changes.values()), np.arange(4))
    assert (filled[:, :, : SIDE // 4].min(axis=3) < 200).mean() > 0.3  # objects at the rim too


def test_the_labs_own_layout_needs_no_change() -> None:
    assert changes_of(split_pair(PIXELS), GuessedLayout(1.0, False)) == {}


@pytest.mark.parametrize("side", [28, 48])
def test_pictures_of_any_size_have_moments(side: int) -> None:
    from fruitaudit.diagnosis.factors.guessed_layout import _moments

    small = np.stack([cv2.resize(image, (side, side)) for image in PIXELS[:3]])
    assert np.isfinite(_moments(small)).all()
