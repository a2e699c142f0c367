"""The smallest changes that turn the answer of one image: an attack's in L2 and in Linf, beside CEM's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fruitaudit.audit.opening import Opened
from fruitaudit.diagnosis.attacks.adversarial import L2 as L2_TRIED
from fruitaudit.diagnosis.attacks.adversarial import LINF, Target, optimise
from fruitaudit.diagnosis.gap.examples import write_picture
from fruitaudit.diagnosis.images.split_sample import PixelClassifier, read_photos, rgb_fitter
from fruitaudit.records.attacks import Turn, Turned, TurnNotFound
from fruitaudit.records.data import ByteArray, FloatArray
from fruitaudit.records.evidence import Counterfactual, Counterfactuals
from fruitaudit.records.explanations import Explanation, ExplanationRow
from fruitaudit.records.passes import Passes
from fruitaudit.records.states import NotRun

IMAGES = 12
"""Images that are attacked for this."""
STEPS = 8
ROUNDS = 9
"""How often the strength is doubled, until the answer turns, or bisected, from then on."""
SHORTENINGS = 7
"""How often the way from the image to what was found is bisected."""
ADD_CEM = "no explained image has a pertinent negative to lay beside an attack; add cem to methods"


@dataclass(frozen=True)
class Negatives:
    """CEM's pertinent negatives of one group, as one method found them."""

    method: str
    sample_ids: tuple[str, ...]
    classes: tuple[str, ...]
    """What each image's negative should no longer be called."""
    part: Counterfactual
    low: FloatArray
    high: FloatArray


def negatives_of(row: ExplanationRow, explanation: Explanation) -> Iterator[Negatives]:
    """Those of a row of the kind "counterfactuals"; none of any other."""
    if isinstance(explanation, Counterfactuals):
        for part in explanation.parts:
            if part.mode == "PN":
                yield Negatives(row.method, row.sample_ids, row.target_classes, part, explanation.low, explanation.high)


def turn_answers(
    opened: Opened, pixel_classifier: PixelClassifier, negatives: Sequence[Negatives], out: Path
) -> Iterator[Turned]:
    """Attacks on up to 12 images that have a pertinent negative, evenly of all groups; pictures go to `out`."""
    ids = _image_ids(negatives)
    photos = list(read_photos([opened.samples[i] for i in ids], rgb_fitter(opened.preprocessor)))
    ids = [i for i, photo in zip(ids, photos, strict=True) if photo is not None]
    pixels = np.stack([photo.fitted for photo in photos if photo is not None])
    predicted, names = pixel_classifier.predicted(pixels), opened.class_names
    target = Target.of(pixel_classifier, pixels, predicted)
    points_by_attack = {"PGD, L2": smallest(target, linf=False), "PGD, Linf": smallest(target, linf=True)}
    answers = {name: target.answers(points) for name, points in points_by_attack.items()}
    for i, sample_id in enumerate(ids):
        image = _Image(pixel_classifier, sample_id, names[predicted[i]], target.unit[i], out, f"diagnosis/turned/{i}")
        ways = [image.way(name, points[i], names[answers[name][i]]) for name, points in points_by_attack.items()]
        ways += [image.negative(group, names) for group in negatives if sample_id in group.sample_ids]
        yield Turned(
            sample_id, names[opened.samples[sample_id].label], image.predicted, image.write("as-it-is"), tuple(ways)
        )


def passes(n_images: int) -> Passes:
    """Of up to 12 images with a pertinent negative."""
    n = min(n_images, IMAGES)
    rounds = 2 * ROUNDS * STEPS
    return Passes(n * (1 + rounds + 2 * ROUNDS * (STEPS + 1) + 2 * (SHORTENINGS + 1)), n * rounds)


def _image_ids(negatives: Sequence[Negatives]) -> list[str]:
    """The first image of each group, then the second, and so on; each image once."""
    longest = max(len(group.sample_ids) for group in negatives)
    ids = [group.sample_ids[k] for k in range(longest) for group in negatives if k < len(group.sample_ids)]
    return list(dict.fromkeys(ids))[:IMAGES]


def smallest(target: Target, *, linf: bool) -> FloatArray:
    """(N, H, W, C) the nearest points that PGD, beginning at the image, finds to turn the answer; NaN where none.

    Strength is doubled until the answer turns, then bisected; at last the way to the image is bisected.
    """
    n, start = len(target.unit), np.zeros_like(target.unit)
    points = np.full_like(target.unit, np.nan)
    low, high = np.zeros(n, np.float32), np.full(n, np.inf, np.float32)
    trial = np.full(n, (LINF if linf else L2_TRIED)[-1], np.float32)
    for _ in range(ROUNDS):
        turned = np.zeros(n, bool)
        for point in optimise(target, start, trial, STEPS, linf=linf):
            newly_turned = ~target.holds(point) & ~turned
            points[newly_turned], turned = point[newly_turned], turned | newly_turned
        high, low = np.where(turned, trial, high), np.where(turned, low, trial)
        trial = np.where(np.isinf(high), 2 * trial, (low + high) / 2).astype(np.float32)
    near, far = np.zeros(n, np.float32), np.ones(n, np.float32)
    for _ in range(SHORTENINGS):
        middle = ((near + far) / 2).astype(np.float32)
        holds = target.holds(_between(target.unit, points, middle))
        near, far = np.where(holds, middle, near), np.where(holds, far, middle)
    return _between(target.unit, points, far)


def _between(image: FloatArray, points: FloatArray, share: FloatArray) -> FloatArray:
    return (image + share[:, None, None, None] * (points - image)).astype(np.float32)


@dataclass(frozen=True)
class _Image:
    """One image (H, W, C) from black 0 to white 1, what the model says of it, and where its pictures go."""

    pixel_classifier: PixelClassifier
    sample_id: str
    predicted: str
    unit: FloatArray
    out: Path
    stem: str

    def way(self, by: str, after: FloatArray, answer: str) -> Turn | TurnNotFound:
        """What turned the answer, or that nothing did where `after` is NaN."""
        change = np.abs(after.astype(np.float64) - self.unit)
        if np.isnan(change).any():
            return TurnNotFound(by, NotRun("no change of the strengths tried turned the answer", code="not_found"))
        l2 = float(np.sqrt((change**2).sum()))
        return Turn(by, self.write(by, after), answer, float(change.sum()), l2, float(change.max()))

    def negative(self, group: Negatives, names: Sequence[str]) -> Turn | TurnNotFound:
        k, by = group.sample_ids.index(self.sample_id), f"Pertinent negative ({group.method})"
        if group.classes[k] != self.predicted:
            return TurnNotFound(
                by,
                NotRun(f"it was asked for {group.classes[k]}, which is not the model's answer", code="not_applicable"),
            )
        if not group.part.found[k] or group.part.vacuous[k]:
            return TurnNotFound(
                by, NotRun(group.part.vacuous[k] or "no small change turned the answer", code="not_found")
            )
        after = ((group.part.values[k] - group.low) / (group.high - group.low)).astype(np.float32)
        return self.way(by, after, names[int(group.part.classes[k])])

    def write(self, name: str, unit: FloatArray | None = None) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        return write_picture(
            self.out, f"{self.stem}-{slug}.png", _picture(self.pixel_classifier, self.unit if unit is None else unit)
        )


def _picture(pixel_classifier: PixelClassifier, unit: FloatArray) -> ByteArray:
    """(H, W, C) 0..1 in the model's order of channels -> (H, W, 3) uint8 RGB."""
    pixels = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
    if pixels.shape[-1] == 1:
        return np.repeat(pixels, 3, axis=-1)
    return pixels[..., ::-1] if pixel_classifier.preprocessor.blue_first else pixels
