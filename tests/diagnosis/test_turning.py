"""The smallest changes that turn an answer, on a linear model, where they can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fruitaudit.config.scales import APPLICATIONS
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.diagnosis.attacks.adversarial import Target
from fruitaudit.diagnosis.attacks.turning import IMAGES, Negatives, negatives_of, smallest, turn_answers
from fruitaudit.diagnosis.images.material import PixelClassifier
from fruitaudit.records.attacks import Turn, TurnNotFound
from fruitaudit.records.data import Sample
from fruitaudit.records.evidence import Counterfactual, Counterfactuals
from fruitaudit.records.explanations import ExplanationRow

SIDE = 6
NAMES = ("dark", "bright")
W = np.full((SIDE, SIDE, 3), 1.0)
N = W.size


class Linear:
    """logit of "bright" minus that of "dark": w . x - 0.5 |w|_1, on values 0..1 (or scaled by `span`)."""

    offers = frozenset({"scores", "gradients"})

    def __init__(self, span: float = 1.0) -> None:
        self.span = span

    def logits(self, values: np.ndarray) -> np.ndarray:
        margin = np.einsum("nhwc,hwc->n", values / self.span, W) - 0.5 * N
        return np.stack([-margin / 2, margin / 2], axis=1).astype(np.float32)

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        e = np.exp(self.logits(values))
        return e / e.sum(axis=1, keepdims=True)

    def gradient(self, values: np.ndarray, classes: np.ndarray, *, against: np.ndarray) -> np.ndarray:
        sign = (np.asarray(classes, float) - against)[:, None, None, None]
        return (sign * W / self.span).astype(np.float32)


def eye(scale: str = "0-1") -> PixelClassifier:
    return PixelClassifier(
        Linear(255.0 if scale == "0-255" else 1.0), Preprocessor(SIDE, SIDE, 3, "stretch", "area", scale)
    )


def grey(*levels: int) -> np.ndarray:
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), SIDE, SIDE, 3)).copy()


@pytest.mark.parametrize("scale", ["0-1", "0-255"])
def test_the_nearest_point_lies_on_the_hyperplane(scale: str) -> None:
    """|w . x - b| / |w|_2 in L2, |w . x - b| / |w|_1 in Linf."""
    pixels = grey(100, 140, 40)
    target = Target.of(eye(scale), pixels, eye(scale).predicted(pixels))
    away = np.abs(pixels[:, 0, 0, 0] / 255 - 0.5)
    for linf, wanted in ((False, away * np.sqrt(N)), (True, away)):
        found = smallest(target, linf=linf)
        assert (target.answers(found) != target.labels).all()
        change = (found - target.unit).reshape(3, -1).astype(float)
        norm = np.abs(change).max(axis=1) if linf else np.linalg.norm(change, axis=1)
        assert norm == pytest.approx(wanted, rel=0.05)
        assert (norm >= wanted * 0.999).all()


def test_what_cannot_be_turned_is_nan() -> None:
    class Deaf(Linear):
        def logits(self, values: np.ndarray) -> np.ndarray:
            return np.tile(np.array([1, 0], np.float32), (len(values), 1))

    deaf = replace(eye(), classifier=Deaf())
    assert np.isnan(smallest(Target.of(deaf, grey(100), np.array([0])), linf=True)).all()


@dataclass(frozen=True)
class Opened:
    samples: dict[str, Sample]
    preprocessor: Preprocessor
    class_names: tuple[str, ...] = NAMES


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    samples = {}
    for i in range(IMAGES + 3):
        Image.fromarray(grey(100 + i)[0]).save(tmp_path / f"{i}.png")
        samples[f"s/{i}"] = Sample(f"s/{i}", 1, tmp_path / f"{i}.png")
    return Opened(samples, eye().preprocessor)


def cem(ids: list[str], opened: Opened, found: list[bool], classes: tuple[str, ...]) -> list[Negatives]:
    """A pertinent negative that adds 0.2 to every value."""
    values = np.stack([grey(100 + int(i[2:]))[0] / np.float32(255) + np.float32(0.2) for i in ids])
    part = Counterfactual("PN", np.array(found), values, values * 0 + 0.2, np.ones(len(ids), int),
                          np.ones(len(ids), np.float32), ("",) * len(ids), np.ones(len(ids), np.float32))  # fmt: skip
    other = replace(part, mode="PP")
    row = ExplanationRow("g", "cem", "CEM", "native", "logit", "none", True, {}, "f.npz", "counterfactuals", tuple(ids),
                         classes, 0.0, (), {}, (), 1)  # fmt: skip
    return list(negatives_of(row, Counterfactuals((part, other), np.zeros(3, np.float32), np.ones(3, np.float32))))


def test_attack_and_pertinent_negative_stand_side_by_side(opened: Opened, tmp_path: Path) -> None:
    ids = ["s/0", "s/1", "s/2"]
    negatives = cem(ids, opened, [True, False, True], ("dark", "dark", "bright"))
    one, two, three = turn_answers(opened, eye(), negatives, tmp_path / "out")
    assert (one.sample_id, one.true_class, one.answer) == ("s/0", "bright", "dark")
    assert [way.by for way in one.ways] == ["PGD, L2", "PGD, Linf", "Pertinent negative (cem)"]
    added = one.ways[2]
    assert isinstance(added, Turn)
    assert (added.l1, added.l2, added.linf) == pytest.approx((0.2 * N, 0.2 * np.sqrt(N), 0.2), rel=1e-4)
    assert added.answer == "bright"
    shown = np.asarray(Image.open(tmp_path / "out" / added.picture))
    assert (shown == 151).all(), "100 + 0.2 * 255"
    assert (np.asarray(Image.open(tmp_path / "out" / one.picture)) == 100).all()
    attack = one.ways[0]
    assert isinstance(attack, Turn)
    assert attack.l2 < added.l2, "the smallest change is smaller than one that was not made small"
    assert isinstance(two.ways[2], TurnNotFound)
    assert isinstance(three.ways[2], TurnNotFound)
    assert "not the model's answer" in three.ways[2].reason.reason


def test_images_are_taken_evenly_of_all_groups(opened: Opened, tmp_path: Path) -> None:
    many, few = [f"s/{i}" for i in range(IMAGES)], [f"s/{IMAGES}", f"s/{IMAGES + 1}"]
    both = [cem(ids, opened, [True] * len(ids), ("dark",) * len(ids))[0] for ids in (many, few)]
    drawn = [one.sample_id for one in turn_answers(opened, eye(), both, tmp_path / "out")]
    assert len(drawn) == IMAGES
    assert set(few) <= set(drawn)


def test_a_model_that_takes_blue_first_is_shown_red_first(tmp_path: Path) -> None:
    from fruitaudit.diagnosis.attacks.turning import _picture

    caffe = next(name for name, mode in APPLICATIONS.items() if mode == "caffe")
    unit = np.zeros((SIDE, SIDE, 3), np.float32)
    unit[..., 0] = 1  # blue, for this model
    assert _picture(eye(caffe), unit)[0, 0].tolist() == [0, 0, 255]
    assert _picture(eye(), unit)[0, 0].tolist() == [255, 0, 0]
