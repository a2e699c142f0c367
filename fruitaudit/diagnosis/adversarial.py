"""How small a change of pixels turns right answers: accuracy against the strength of FGSM and PGD attacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fruitaudit.diagnosis.material import Eye, Material
from fruitaudit.evaluation.intervals import wilson
from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.diagnosis import AttackCurve
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.runtime import Streams

LINF = (1 / 255, 2 / 255, 4 / 255, 8 / 255)
L2 = (0.25, 0.5, 1.0, 2.0)
"""Root of the summed squares of all values, each in units of the range from black to white."""
STEPS = 5
_STEP = 2.5
"""Length of a step times `STEPS`, in units of epsilon."""


@dataclass(frozen=True)
class _Target:
    """What an attack starts from: model inputs, true labels, and the range of each channel."""

    eye: Eye
    values: FloatArray
    labels: IntArray
    low: FloatArray
    span: FloatArray

    def uphill(self, unit: FloatArray) -> FloatArray:
        """Gradient, in units of the range, of the best wrong logit minus the true one."""
        values = self.at(unit)
        logits = self.eye.classifier.logits(values)
        logits[np.arange(len(logits)), self.labels] = -np.inf
        wrong = logits.argmax(axis=1).astype(np.int64)
        rise, fall = (self.eye.classifier.gradient(values, c) for c in (wrong, self.labels))
        return ((rise - fall) * self.span).astype(np.float32)

    def at(self, unit: FloatArray) -> FloatArray:
        return (self.low + unit * self.span).astype(np.float32)

    def right(self, unit: FloatArray) -> IntArray:
        return (self.eye.classifier.probabilities(self.at(unit)).argmax(axis=1) == self.labels).astype(np.int64)


def attack(eye: Eye, material: Material, limit: int, streams: Streams) -> Iterator[AttackCurve]:
    """FGSM and PGD in Linf, PGD in L2, on up to `limit` images. Raises CannotExplain without a gradient.

    FGSM: x + eps sign(g). PGD: repeated steps along sign(g) (Linf) or g / |g| (L2), each projected back into the ball
    and into the range of pixels, from a random start; an image is turned if the first point or the last one turns it.
    Paper: Goodfellow, Shlens, Szegedy 2015, arXiv:1412.6572, section 4; Madry et al. 2018, arXiv:1706.06083, section 2.
    Differs from the papers: the loss is the margin of logits, which does not vanish where the model is sure
    (Carlini, Wagner 2017, arXiv:1608.04644, f_6).
    """
    rows = np.unique(np.linspace(0, len(material) - 1, min(limit, len(material))).astype(np.int64))
    low, high = eye.preprocessor.low, eye.preprocessor.high
    values = eye.preprocessor.scaled(eye.channels(material.pixels[rows]))
    target = _Target(eye, values, material.labels[rows], low, (high - low).astype(np.float32))
    unit = ((values - low) / (high - low)).astype(np.float32)
    yield _curve("FGSM", "Linf", material.split, target, LINF, [_fgsm(target, unit, e) for e in LINF])
    starts = [streams.rng("attack", material.ids[i]).uniform(-1, 1, unit.shape[1:]) for i in rows]
    start = np.stack(starts).astype(np.float32)
    yield _curve("PGD", "Linf", material.split, target, LINF, [_pgd(target, unit, start, e, linf=True) for e in LINF])
    yield _curve("PGD", "L2", material.split, target, L2, [_pgd(target, unit, start, e, linf=False) for e in L2])


def _fgsm(target: _Target, unit: FloatArray, epsilon: float) -> IntArray:
    step = np.float32(epsilon) * np.sign(target.uphill(unit))
    return target.right(np.clip(unit + step, 0, 1)) & target.right(unit)


def _pgd(target: _Target, unit: FloatArray, start: FloatArray, epsilon: float, *, linf: bool) -> IntArray:
    project = _into_cube if linf else _into_ball
    moved = np.clip(unit + project(start * np.float32(epsilon if linf else 1), epsilon), 0, 1)
    right = target.right(unit) & target.right(moved)
    for _ in range(STEPS):
        g = target.uphill(moved)
        direction = np.sign(g) if linf else g / np.maximum(_lengths(g), 1e-12)
        ahead = moved + np.float32(_STEP * epsilon / STEPS) * direction
        moved = np.clip(unit + project(ahead - unit, epsilon), 0, 1)
    return right & target.right(moved)


def _lengths(x: FloatArray) -> FloatArray:
    return np.sqrt((x * x).sum(axis=(1, 2, 3), keepdims=True))


def _into_cube(x: FloatArray, epsilon: float) -> FloatArray:
    return np.clip(x, -epsilon, epsilon)


def _into_ball(x: FloatArray, epsilon: float) -> FloatArray:
    return x * np.minimum(1, epsilon / np.maximum(_lengths(x), 1e-12)).astype(np.float32)


def _curve(
    name: str, norm: str, split: str, target: _Target, strengths: tuple[float, ...], right: list[IntArray]
) -> AttackCurve:
    n = len(target.labels)
    accuracy = tuple(wilson(int(r.sum()), n) for r in right)
    unharmed = int(target.right(((target.values - target.low) / target.span).astype(np.float32)).sum())
    half: Quantity = NotRun(
        f"half of the {unharmed} right answers survive every strength tried, up to {strengths[-1]:.3g}"
    )
    if not unharmed:
        half = NotRun("no answer was right to begin with")
    for strength, left in zip(strengths, accuracy, strict=True):
        if unharmed and left.value * n <= unharmed / 2:
            half = Estimate(
                strength, unharmed, note="the smallest strength tried at which half of the answers are lost"
            )
            break
    return AttackCurve(name, "Linf" if norm == "Linf" else "L2", split, strengths, accuracy, half)
