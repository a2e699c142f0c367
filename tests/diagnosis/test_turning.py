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
from fruitaudit.diagnosis.images.split_sample import PixelClassifier
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


def pixel_classifier(scale: str = "0-1") -> PixelClassifier:
    return PixelClassifier(
        Linear(255.0 if scale == "0-255" else 1.0), Preprocessor(SIDE, SIDE, 3, "stretch", "area", scale)
    )


def grey(*levels: int) -> np.ndarray:
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), SIDE, SIDE, 3)).copy()


@pytest.mark.parametrize("scale", ["0-1", "0-255"])
def test_the_nearest_point_lies_on_the_hyperplane(scale: str) -> None:
    """|w . x - b| / |w|_2 in L2, |w . x - b| / |w|_1 in Linf."""
    pixels = grey(100, 140, 40)
    target = Target.of(pixel_classifier(scale), pixels, pixel_classifier(scale).predicted(pixels))
    margins = np.abs(pixels[:, 0, 0, 0] / 255 - 0.5)
    for linf, expected in ((False, margins * np.sqrt(N)), (True, margins)):
        points = smallest(target, linf=linf)
        assert (target.answers(points) != target.labels).all()
        change = (points - target.unit).reshape(3, -1).astype(float)
        norm = np.abs(change).max(axis=1) if linf else np.linalg.norm(change, axis=1)
        assert norm == pytest.approx(expected, rel=0.05)
        assert (norm >= expected * 0.999).all()


def test_what_cannot_be_turned_is_nan() -> None:
    class Constant(Linear):
        def logits(self, values: np.ndarray) -> np.ndarray:
            return np.tile(np.array([1, 0], np.float32), (len(values), 1))

    constant = replace(pixel_classifier(), classifier=Constant())
    assert np.isnan(smallest(Target.of(constant, grey(100), np.array([0])), linf=True)).all()


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
    return Opened(samples, pixel_classifier().preprocessor)


def cem(ids: list[str], opened: Opened, successes: list[bool], classes: tuple[str, ...]) -> list[Negatives]:
    """A pertinent negative that adds 0.2 to every value."""
    values = np.stack([grey(100 + int(i[2:]))[0] / np.float32(255) + np.float32(0.2) for i in ids])
    part = Counterfactual("PN", np.array(successes), values, values * 0 + 0.2, np.ones(len(ids), int),
                          np.ones(len(ids), np.float32), ("",) * len(ids), np.ones(len(ids), np.float32))  # fmt: skip
    other = replace(part, mode="PP")
    row = ExplanationRow("g", "cem", "CEM", "native", "logit", "none", True, {}, "f.npz", "counterfactuals", tuple(ids),
                         classes, 0.0, (), {}, (), 1)  # fmt: skip
    return list(negatives_of(row, Counterfactuals((part, other), np.zeros(3, np.float32), np.ones(3, np.float32))))


def test_attack_and_pertinent_negative_stand_side_by_side(opened: Opened, tmp_path: Path) -> None:
    ids = ["s/0", "s/1", "s/2"]
    negatives = cem(ids, opened, [True, False, True], ("dark", "dark", "bright"))
    one, two, three = turn_answers(opened, pixel_classifier(), negatives, tmp_path / "out")
    assert (one.sample_id, one.true_class, one.answer) == ("s/0", "bright", "dark")
    assert [way.by for way in one.ways] == ["PGD, L2", "PGD, Linf", "Pertinent negative (cem)"]
    negative = one.ways[2]
    assert isinstance(negative, Turn)
    assert (negative.l1, negative.l2, negative.linf) == pytest.approx((0.2 * N, 0.2 * np.sqrt(N), 0.2), rel=1e-4)
    assert negative.answer == "bright"
    picture = np.asarray(Image.open(tmp_path / "out" / negative.picture))
    assert (picture == 151).all(), "100 + 0.2 * 255"
    assert (np.asarray(Image.open(tmp_path / "out" / one.picture)) == 100).all()
    attack = one.ways[0]
    assert isinstance(attack, Turn)
    assert attack.l2 < negative.l2, "the smallest change is smaller than one that was not made small"
    assert isinstance(two.ways[2], TurnNotFound)
    assert isinstance(three.ways[2], TurnNotFound)
    assert "not the model's answer" in three.ways[2].reason.reason


def test_images_are_taken_evenly_of_all_groups(opened: Opened, tmp_path: Path) -> None:
    many, few = [f"s/{i}" for i in range(IMAGES)], [f"s/{IMAGES}", f"s/{IMAGES + 1}"]
    groups = [cem(ids, opened, [True] * len(ids), ("dark",) * len(ids))[0] for ids in (many, few)]
    sample_ids = [one.sample_id for one in turn_answers(opened, pixel_classifier(), groups, tmp_path / "out")]
    assert len(sample_ids) == IMAGES
    assert set(few) <= set(sample_ids)


def test_a_model_that_takes_blue_first_is_shown_red_first(tmp_path: Path) -> None:
    from fruitaudit.diagnosis.attacks.turning import _picture

    caffe = next(name for name, mode in APPLICATIONS.items() if mode == "caffe")
    unit = np.zeros((SIDE, SIDE, 3), np.float32)
    unit[..., 0] = 1  # blue, for this model
    assert _picture(pixel_classifier(caffe), unit)[0, 0].tolist() == [0, 0, 255]
    assert _picture(pixel_classifier(), unit)[0, 0].tolist() == [255, 0, 0]
