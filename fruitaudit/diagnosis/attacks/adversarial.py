"""How small a change of pixels turns right answers: accuracy against the strength of FGSM and PGD attacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fruitaudit.diagnosis.images.split_sample import PixelClassifier, SplitSample
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

    pixel_classifier: PixelClassifier
    unit: FloatArray
    labels: IntArray

    @classmethod
    def of(cls, pixel_classifier: PixelClassifier, pixels: ByteArray, labels: IntArray) -> Target:
        """Of 8-bit RGB pixels (N, H, W, 3)."""
        values, (low, span) = (
            pixel_classifier.preprocessor.scaled(pixel_classifier.channels(pixels)),
            _range(pixel_classifier),
        )
        return cls(pixel_classifier, ((values - low) / span).astype(np.float32), labels)

    def select(self, rows: IntArray) -> Target:
        return Target(self.pixel_classifier, self.unit[rows], self.labels[rows])

    def margin_gradient(self, unit: FloatArray) -> FloatArray:
        """Gradient, in units of the range, of the best wrong logit minus the true one."""
        values = self.values(unit)
        logits = self.pixel_classifier.classifier.logits(values)
        logits[np.arange(len(logits)), self.labels] = -np.inf
        wrong = logits.argmax(axis=1).astype(np.int64)
        gradient = offering(self.pixel_classifier.classifier, "gradients").gradient(values, wrong, against=self.labels)
        return (gradient * _range(self.pixel_classifier)[1]).astype(np.float32)

    def values(self, unit: FloatArray) -> FloatArray:
        """The model's input."""
        low, span = _range(self.pixel_classifier)
        return (low + unit * span).astype(np.float32)

    def answers(self, unit: FloatArray) -> IntArray:
        """(N,) the predicted classes."""
        return self.pixel_classifier.classifier.probabilities(self.values(unit)).argmax(axis=1)

    def holds(self, unit: FloatArray) -> BoolArray:
        """(N,) whether the answer is still the label."""
        return np.asarray(self.answers(unit) == self.labels)


def _range(pixel_classifier: PixelClassifier) -> tuple[FloatArray, FloatArray]:
    low = pixel_classifier.preprocessor.low
    return low, (pixel_classifier.preprocessor.high - low).astype(np.float32)


def attack(
    pixel_classifier: PixelClassifier, material: SplitSample, limit: int, streams: Streams
) -> Iterator[AttackCurve]:
    """FGSM and PGD in Linf, PGD in L2, on up to `limit` images. Raises CannotExplain without a gradient.

    FGSM: x + eps sign(g). PGD: repeated steps along sign(g) (Linf) or g / |g| (L2), each projected back into the ball
    and into the range of pixels, from a random start; an image is turned if the first point or the last one turns it,
    or if a weaker attack did: its change is within the stronger one's reach.
    Paper: Goodfellow, Shlens, Szegedy 2015, arXiv:1412.6572, section 4; Madry et al. 2018, arXiv:1706.06083, section 2.
    Differs from the papers: the loss is the margin of logits, which does not vanish where the model is sure
    (Carlini, Wagner 2017, arXiv:1608.04644, f_6).
    """
    rows = np.unique(np.linspace(0, len(material) - 1, min(limit, len(material))).astype(np.int64))
    target = Target.of(pixel_classifier, material.pixels[rows], material.labels[rows])
    groups = None if material.groups is None else material.groups[rows]
    starts = [streams.rng("attack", material.ids[i]).uniform(-1, 1, target.unit.shape[1:]) for i in rows]
    start = np.stack(starts).astype(np.float32)
    correct, sign = target.holds(target.unit), np.sign(target.margin_gradient(target.unit))
    for name, norm, strengths in _ATTACKS:
        robust_by_strength, robust = [], correct
        for epsilon in strengths:
            remaining = np.flatnonzero(robust)
            if name == "FGSM":
                points = np.clip(target.unit + np.float32(epsilon) * sign, 0, 1).astype(np.float32)
                unturned = target.select(remaining).holds(points[remaining])
            else:
                unturned = _pgd(target.select(remaining), start[remaining], epsilon, linf=norm == "Linf")
            robust = np.zeros_like(correct)
            robust[remaining[unturned]] = True
            robust_by_strength.append(robust)
        accuracy = tuple(share_of(unturned, groups) for unturned in robust_by_strength)
        yield AttackCurve(
            name, norm, material.split, strengths, accuracy, _half(correct, strengths, robust_by_strength)
        )


def passes(n_images: int) -> Passes:
    """At most: an image that a weaker attack turned is not attacked again."""
    pgd_runs = sum(len(strengths) for name, _, strengths in _ATTACKS if name == "PGD")
    return Passes(n_images * (2 + len(LINF) + pgd_runs * (STEPS + 2)), n_images * (1 + pgd_runs * STEPS))


def _pgd(target: Target, start: FloatArray, epsilon: float, *, linf: bool) -> BoolArray:
    """Which answers hold at the first point and at the last."""
    points = list(optimise(target, start, np.full(len(start), epsilon, np.float32), STEPS, linf=linf))
    return target.holds(points[0]) & target.holds(points[-1])


def optimise(target: Target, start: FloatArray, epsilon: FloatArray, steps: int, *, linf: bool) -> Iterator[FloatArray]:
    """The points of PGD, each within `epsilon` (N,) of its image. `start` (N, H, W, C) in -1..1 is the first step."""
    project, unit = into_cube if linf else into_ball, target.unit
    epsilon = epsilon[:, None, None, None]
    point = np.clip(unit + project(start * epsilon if linf else start, epsilon), 0, 1)
    yield point
    for _ in range(steps):
        gradient = target.margin_gradient(point)
        direction = np.sign(gradient) if linf else gradient / np.maximum(lengths(gradient), 1e-12)
        step = point + np.float32(_STEP / steps) * epsilon * direction
        point = np.clip(unit + project(step - unit, epsilon), 0, 1)
        yield point


def lengths(x: FloatArray) -> FloatArray:
    return np.sqrt((x * x).sum(axis=(1, 2, 3), keepdims=True))


def into_cube(x: FloatArray, epsilon: FloatArray) -> FloatArray:
    return np.clip(x, -epsilon, epsilon)


def into_ball(x: FloatArray, epsilon: FloatArray) -> FloatArray:
    return x * np.minimum(1, epsilon / np.maximum(lengths(x), 1e-12)).astype(np.float32)


def _half(correct: BoolArray, strengths: tuple[float, ...], robust_by_strength: list[BoolArray]) -> Quantity:
    """The strength at which half of the right answers are lost."""
    n_correct = int(correct.sum())
    if not n_correct:
        return NotRun("no answer was right to begin with", code="no_images")
    for strength, robust in zip(strengths, robust_by_strength, strict=True):
        if robust.sum() <= n_correct / 2:
            note = "the smallest strength tried at which half of the answers are lost"
            return Estimate(strength, n_correct, note=note)
    return NotRun(f"half of the {n_correct} right answers survive every strength tried", code="not_found")
