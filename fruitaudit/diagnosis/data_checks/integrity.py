"""Data before anything: repeated photos, shared sources, starved classes, odd files, doubtful labels, small splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from fruitaudit.data.splits import Split
from fruitaudit.diagnosis.data_checks.duplicates import Fingerprints, Pairs, calibrate, exact_pairs, near_pairs
from fruitaudit.diagnosis.images.sharpness import blur_metric
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data_checks import DataCheck, DataCheckNotRun
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import NotRun
from fruitaudit.statistics.intervals import share_of

ROWS = 50
"""Lines of a worksheet that are kept."""
_WIDE = 0.2
"""Width of the 95 % interval of accuracy from which a split is too small."""
_FEW = 10
"""Images of a class under which its recall cannot be told."""
_STARVED = 0.25
"""Share of the median class size under which a class is starved."""
_DARK, _FLAT, _BLURRED = 25.0, 4.0, 0.75


def check_data(
    splits: Sequence[Split], materials: Mapping[str, SplitSample], predictions: Mapping[str, Predictions]
) -> Iterator[DataCheck | DataCheckNotRun]:
    """All checks that need no experiment."""
    fingerprints = {name: Fingerprints.of(material) for name, material in materials.items()}
    yield from _duplicates(fingerprints, predictions)
    yield from _shared_groups(splits)
    for name, split_predictions in predictions.items():
        yield _balance(split_predictions)
        yield _size(split_predictions)
        yield _odd_files(materials[name])


def _duplicates(
    fingerprints: Mapping[str, Fingerprints], predictions: Mapping[str, Predictions]
) -> Iterator[DataCheck]:
    limits = calibrate(list(fingerprints.values()))
    names = list(fingerprints)
    digests = {name: predictions[name].pixel_digests or fingerprints[name].digests for name in names}
    ids = {name: predictions[name].sample_ids if predictions[name].pixel_digests else fingerprints[name].material.ids
           for name in names}  # fmt: skip
    for i, one in enumerate(names):
        for other in names[: i + 1][::-1]:
            exact = exact_pairs(digests[one], digests[other])
            equal = [(ids[one][a], ids[other][b]) for a, b in zip(exact.first, exact.second, strict=True)]
            near = near_pairs(fingerprints[one], fingerprints[other], limits)
            yield _repeats(fingerprints[one].material, fingerprints[other].material, equal, near, limits.thumb)


def _repeats(
    one: SplitSample, other: SplitSample, equal: Sequence[tuple[str, str]], near: Pairs, limit: float
) -> DataCheck:
    """`equal` are pairs of ids among all images, `near` pairs among those drawn."""
    within, n_equal = one is other, len(equal)
    counted = {sample_id for sample_id, _ in equal}
    order = [k for k in np.argsort(near.distance, kind="stable")
             if not near.exact[k] and one.ids[near.first[k]] not in counted]  # fmt: skip
    rows = [(*pair, "exact", "0.0") for pair in equal[:ROWS]]
    rows += [(one.ids[near.first[k]], other.ids[near.second[k]], "near", f"{near.distance[k]:.1f}") for k in order]
    drawn = [f"{len(m)} of {m.population} images of {m.split}" for m in ((one,) if within else (one, other))
             if len(m) < m.population]  # fmt: skip
    total, phrase = (
        n_equal + len(order),
        "have a repetition within it" if within else f"repeat an image of {other.split}",
    )
    how = f"within {limit:.1f} of 255, as near as an image is to its own slightly changed copy"
    found = f"{n_equal} exactly, the others {how}"
    if drawn:
        found = f"{n_equal} exactly, of all images; {len(order)} nearly, {how}, of {' and '.join(drawn)}"
    return DataCheck(
        name="duplicates" if within else "duplicates across",
        split=one.split,
        other="" if within else other.split,
        exact=n_equal,
        n=one.population,
        total=total,
        sentence=f"{'At least ' if drawn else ''}{total} of {one.population} images of {one.split} {phrase} ({found}).",
        columns=("image", "repeats", "how", "distance"),
        rows=tuple(rows[:ROWS]),
        sample_ids=tuple(row[0] for row in rows[:ROWS]),
        lower_bound=bool(drawn),
    )


def _shared_groups(splits: Sequence[Split]) -> Iterator[DataCheck | DataCheckNotRun]:
    for i, one in enumerate(splits):
        for other in splits[:i]:
            one_groups, other_groups = ([s.group_id for s in split.samples if s.group_id] for split in (one, other))
            if not one_groups or not other_groups:
                yield DataCheckNotRun("shared groups", one.name, other=other.name, reason=NotRun(
                    f"{one.name if not one_groups else other.name} has no group_id; add the column to the manifest to "
                    "see whether one object was photographed for both", code="not_applicable"))  # fmt: skip
                continue
            shared = Counter(one_groups) & Counter(other_groups)
            group_ids = sorted(set(shared))
            samples = [s for s in one.samples if s.group_id in shared]
            yield DataCheck(
                "shared groups", one.name, len(one.samples), len(samples),
                f"{len(samples)} of {len(one.samples)} images of {one.name} show an object or scene (group_id) that "
                f"{other.name} shows too; {len(group_ids)} groups are shared.",
                ("group_id", f"images in {one.name}", f"images in {other.name}"),
                tuple((g, str(one_groups.count(g)), str(other_groups.count(g))) for g in group_ids[:ROWS]),
                tuple(s.id for s in samples[:ROWS]),
                other=other.name,
            )  # fmt: skip


def _balance(predictions: Predictions) -> DataCheck:
    """Classes with less than a quarter of the median number of images."""
    counts = np.bincount(predictions.labels, minlength=len(predictions.class_names))
    present = counts[counts > 0]
    median = float(np.median(present)) if len(present) else 0.0
    starved = [c for c in np.argsort(counts, kind="stable") if counts[c] < _STARVED * median]
    rows = tuple((predictions.class_names[c], str(counts[c]), _recall(predictions, int(c))) for c in starved)
    return DataCheck(
        "starved classes", predictions.split, len(predictions.labels), len(starved),
        f"{len(starved)} of {len(counts)} classes of {predictions.split} have less than a quarter of the median, "
        f"{median:.0f}.",
        ("class", "images", "recall"), rows,
    )  # fmt: skip


def _recall(predictions: Predictions, label: int) -> str:
    in_class = predictions.labels == label
    return f"{100 * float((predictions.predicted[in_class] == label).mean()):.0f} %" if in_class.any() else "no images"


def _size(predictions: Predictions) -> DataCheck:
    """Classes whose recall cannot be told, and whether the accuracy can."""
    counts = np.bincount(predictions.labels, minlength=len(predictions.class_names))
    few = [c for c in np.argsort(counts, kind="stable") if counts[c] < _FEW]
    n = len(predictions.labels)
    accuracy = share_of(predictions.predicted == predictions.labels, predictions.groups)
    width = (accuracy.high or 1.0) - (accuracy.low or 0.0)
    too_small = width > _WIDE
    verdict = "too small to say how accurate the model is" if too_small else "large enough for the accuracy"
    return DataCheck(
        "split size", predictions.split, n, len(few),
        f"{predictions.split} is {verdict} (interval {100 * width:.0f} points wide); {len(few)} of {len(counts)} "
        f"classes have fewer than {_FEW} images, too few for their recall.",
        ("class", "images"), tuple((predictions.class_names[c], str(counts[c])) for c in few), too_small=too_small,
    )  # fmt: skip


def _odd_files(material: SplitSample) -> DataCheck:
    """Tiny, dark, flat or blurred images, each with the measure that says so."""
    side = float(np.sqrt(np.prod(material.pixels.shape[1:3])))
    odd_images = []
    for i, image in enumerate(material.pixels):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height, width = material.sizes[i]
        if min(height, width) < 0.5 * side:
            odd_images.append((i, "tiny", f"{width} x {height} pixels"))
        elif grey.std() < _FLAT:
            odd_images.append((i, "flat", f"deviation {grey.std():.1f} of 255"))
        elif grey.mean() < _DARK:
            odd_images.append((i, "dark", f"mean {grey.mean():.0f} of 255"))
        elif (blurred := blur_metric(image.astype(np.float32), np.ones(grey.shape, bool))) > _BLURRED:
            odd_images.append((i, "blurred", f"blur metric {blurred:.2f}"))
    kinds = Counter(kind for _, kind, _ in odd_images)
    summary = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) or "none"
    return DataCheck(
        "odd files", material.split, len(material), len(odd_images),
        f"Of {len(material)} images of {material.split} looked at, odd ones: {summary}.",
        ("image", "what", "measure"), tuple((material.ids[i], kind, measure) for i, kind, measure in odd_images[:ROWS]),
        tuple(material.ids[i] for i, _, _ in odd_images[:ROWS]),
    )  # fmt: skip
