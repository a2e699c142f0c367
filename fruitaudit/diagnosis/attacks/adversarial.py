"""How small a change of pixels turns right answers: accuracy against the strength of FGSM and PGD attacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fruitaudit.diagnosis.images.material import PixelClassifier, SplitSample
from fruitaudit.models.base import offering
from fruitaudit.records.attacks import AttackCurve
from fruitaudit.records.data import BoolArray, ByteArray, FloatArray, IntArray
from fruitaudit.records.passes import Passes
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.intervals import share_of

LINF: tuple[float, ...] = (1 / 255, 2 / 255, 4 / 255, 8 / 255)
L2: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
"""Root of the summed squares of all values, each in units of the range from black to white."""
STEPS = 5
_STEP = 2.5
"""Length of all steps together, in units of epsilon."""


_ATTACKS: tuple[tuple[str, Literal["Linf", "L2"], tuple[float, ...]], ...] = (
    ("FGSM", "Linf", LINF), ("PGD", "Linf", LINF), ("PGD", "L2", L2),
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What an attack starts from: images `unit` (N, H, W, C) from black 0 to white 1, and the answers to be turned."""

    eye: PixelClassifier
    unit: FloatArray
    labels: IntArray

    @classmethod
    def of(cls, eye: PixelClassifier, pixels: ByteArray, labels: IntArray) -> Target:
        """Of 8-bit RGB pixels (N, H, W, 3)."""
        values, (low, span) = eye.preprocessor.scaled(eye.channels(pixels)), _range(eye)
        return cls(eye, ((values - low) / span).astype(np.float32), labels)

    def select(self, rows: IntArray) -> Target:
        return Target(self.eye, self.unit[rows], self.labels[rows])

    def uphill(self, unit: FloatArray) -> FloatArray:
        """Gradient, in units of the range, of the best wrong logit minus the true one."""
        values = self.values(unit)
        logits = self.eye.classifier.logits(values)
        logits[np.arange(len(logits)), self.labels] = -np.inf
        wrong = logits.argmax(axis=1).astype(np.int64)
        gradient = offering(self.eye.classifier, "gradients").gradient(values, wrong, against=self.labels)
        return (gradient * _range(self.eye)[1]).astype(np.float32)

    def values(self, unit: FloatArray) -> FloatArray:
        """What the model is given."""
        low, span = _range(self.eye)
        return (low + unit * span).astype(np.float32)

    def answers(self, unit: FloatArray) -> IntArray:
        """(N,) what the model says."""
        return self.eye.classifier.probabilities(self.values(unit)).argmax(axis=1)

    def holds(self, unit: FloatArray) -> BoolArray:
        """(N,) whether the answer is still the label."""
        return np.asarray(self.answers(unit) == self.labels)


def _range(eye: PixelClassifier) -> tuple[FloatArray, FloatArray]:
    low = eye.preprocessor.low
    return low, (eye.preprocessor.high - low).astype(np.float32)


def attack(eye: PixelClassifier, material: SplitSample, limit: int, streams: Streams) -> Iterator[AttackCurve]:
    """FGSM and PGD in Linf, PGD in L2, on up to `limit` images. Raises CannotExplain without a gradient.

    FGSM: x + eps sign(g). PGD: repeated steps along sign(g) (Linf) or g / |g| (L2), each projected back into the ball
    and into the range of pixels, from a random start; an image is turned if the first point or the last one turns it,
    or if a weaker attack did: its change is within the stronger one's reach.
    Paper: Goodfellow, Shlens, Szegedy 2015, arXiv:1412.6572, section 4; Madry et al. 2018, arXiv:1706.06083, section 2.
    Differs from the papers: the loss is the margin of logits, which does not vanish where the model is sure
    (Carlini, Wagner 2017, arXiv:1608.04644, f_6).
    """
    rows = np.unique(np.linspace(0, len(material) - 1, min(limit, len(material))).astype(np.int64))
    target = Target.of(eye, material.pixels[rows], material.labels[rows])
    groups = None if material.groups is None else material.groups[rows]
    starts = [streams.rng("attack", material.ids[i]).uniform(-1, 1, target.unit.shape[1:]) for i in rows]
    start = np.stack(starts).astype(np.float32)
    clean, uphill = target.holds(target.unit), np.sign(target.uphill(target.unit))
    for name, norm, strengths in _ATTACKS:
        survived, standing = [], clean
        for epsilon in strengths:
            left = np.flatnonzero(standing)
            if name == "FGSM":
                shifted = np.clip(target.unit + np.float32(epsilon) * uphill, 0, 1).astype(np.float32)
                held = target.select(left).holds(shifted[left])
            else:
                held = _pgd(target.select(left), start[left], epsilon, linf=norm == "Linf")
            standing = np.zeros_like(clean)
            standing[left[held]] = True
            survived.append(standing)
        accuracy = tuple(share_of(held, groups) for held in survived)
        yield AttackCurve(name, norm, material.split, strengths, accuracy, _half(clean, strengths, survived))


def passes(n_images: int) -> Passes:
    """At most: an image that a weaker attack turned is not attacked again."""
    climbs = sum(len(strengths) for name, _, strengths in _ATTACKS if name == "PGD")
    return Passes(n_images * (2 + len(LINF) + climbs * (STEPS + 2)), n_images * (1 + climbs * STEPS))


def _pgd(target: Target, start: FloatArray, epsilon: float, *, linf: bool) -> BoolArray:
    """Which answers hold at the first point and at the last."""
    points = list(climb(target, start, np.full(len(start), epsilon, np.float32), STEPS, linf=linf))
    return target.holds(points[0]) & target.holds(points[-1])


def climb(target: Target, start: FloatArray, epsilon: FloatArray, steps: int, *, linf: bool) -> Iterator[FloatArray]:
    """The points of PGD, each within `epsilon` (N,) of its image. `start` (N, H, W, C) in -1..1 is the first step."""
    project, unit = into_cube if linf else into_ball, target.unit
    epsilon = epsilon[:, None, None, None]
    moved = np.clip(unit + project(start * epsilon if linf else start, epsilon), 0, 1)
    yield moved
    for _ in range(steps):
        g = target.uphill(moved)
        direction = np.sign(g) if linf else g / np.maximum(lengths(g), 1e-12)
        ahead = moved + np.float32(_STEP / steps) * epsilon * direction
        moved = np.clip(unit + project(ahead - unit, epsilon), 0, 1)
        yield moved


def lengths(x: FloatArray) -> FloatArray:
    return np.sqrt((x * x).sum(axis=(1, 2, 3), keepdims=True))


def into_cube(x: FloatArray, epsilon: FloatArray) -> FloatArray:
    return np.clip(x, -epsilon, epsilon)


def into_ball(x: FloatArray, epsilon: FloatArray) -> FloatArray:
    return x * np.minimum(1, epsilon / np.maximum(lengths(x), 1e-12)).astype(np.float32)


def _half(clean: BoolArray, strengths: tuple[float, ...], survived: list[BoolArray]) -> Quantity:
    """The strength at which half of the right answers are lost."""
    unharmed = int(clean.sum())
    if not unharmed:
        return NotRun("no answer was right to begin with", code="no_images")
    for strength, left in zip(strengths, survived, strict=True):
        if left.sum() <= unharmed / 2:
            note = "the smallest strength tried at which half of the answers are lost"
            return Estimate(strength, unharmed, note=note)
    return NotRun(f"half of the {unharmed} right answers survive every strength tried", code="not_found")
