"""Data before anything: repeated photos, shared sources, starved classes, odd files, doubtful labels, small splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from fruitaudit.data.splits import Split
from fruitaudit.diagnosis.data_checks.duplicates import Pairs, Prints, calibrate, near_pairs
from fruitaudit.diagnosis.images.material import SplitSample
from fruitaudit.diagnosis.images.sharpness import blur_metric
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
    prints = {name: Prints.of(material) for name, material in materials.items()}
    yield from _duplicates(prints)
    yield from _shared_groups(splits)
    for name, told in predictions.items():
        yield _balance(told)
        yield _size(told)
        yield _odd_files(materials[name])


def _duplicates(prints: Mapping[str, Prints]) -> Iterator[DataCheck]:
    limits = calibrate(list(prints.values()))
    names = list(prints)
    for i, one in enumerate(names):
        for other in names[: i + 1][::-1]:
            pairs = near_pairs(prints[one], prints[other], limits)
            yield _pairs_listing(prints[one].material, prints[other].material, pairs, limits.thumb)


def _pairs_listing(one: SplitSample, other: SplitSample, pairs: Pairs, limit: float) -> DataCheck:
    within = one is other
    order = np.argsort(pairs.distance, kind="stable")
    rows = [(one.ids[pairs.first[k]], other.ids[pairs.second[k]], "exact" if pairs.exact[k] else "near",
             f"{pairs.distance[k]:.1f}") for k in order[:ROWS]]  # fmt: skip
    where = "have a repetition within it" if within else f"repeat an image of {other.split}"
    drawn = "" if len(other) == other.population else f"; {len(other)} of its {other.population} images were compared"
    return DataCheck(
        name="duplicates" if within else "duplicates across",
        split=one.split,
        other="" if within else other.split,
        exact=int(pairs.exact.sum()),
        n=len(one),
        total=len(pairs.first),
        sentence=f"{len(pairs.first)} of {len(one)} images of {one.split} {where} ({int(pairs.exact.sum())} exactly, "
        f"the others within {limit:.1f} of 255, as near as an image is to its own slightly changed copy{drawn}).",
        columns=("image", "repeats", "how", "distance"),
        rows=tuple(rows),
        sample_ids=tuple(one.ids[pairs.first[k]] for k in order[:ROWS]),
    )


def _shared_groups(splits: Sequence[Split]) -> Iterator[DataCheck | DataCheckNotRun]:
    for i, one in enumerate(splits):
        for other in splits[:i]:
            ours, theirs = ([s.group_id for s in split.samples if s.group_id] for split in (one, other))
            if not ours or not theirs:
                yield DataCheckNotRun("shared groups", one.name, other=other.name, reason=NotRun(
                    f"{one.name if not ours else other.name} has no group_id; add the column to the manifest to see "
                    "whether one object was photographed for both", code="not_applicable"))  # fmt: skip
                continue
            shared = Counter(ours) & Counter(theirs)
            named = sorted(set(shared))
            touched = [s for s in one.samples if s.group_id in shared]
            yield DataCheck(
                "shared groups", one.name, len(one.samples), len(touched),
                f"{len(touched)} of {len(one.samples)} images of {one.name} show an object or scene (group_id) that "
                f"{other.name} shows too; {len(named)} groups are shared.",
                ("group_id", f"images in {one.name}", f"images in {other.name}"),
                tuple((g, str(ours.count(g)), str(theirs.count(g))) for g in named[:ROWS]),
                tuple(s.id for s in touched[:ROWS]),
                other=other.name,
            )  # fmt: skip


def _balance(told: Predictions) -> DataCheck:
    """Classes with less than a quarter of the median number of images."""
    counts = np.bincount(told.labels, minlength=len(told.class_names))
    present = counts[counts > 0]
    median = float(np.median(present)) if len(present) else 0.0
    starved = [c for c in np.argsort(counts, kind="stable") if counts[c] < _STARVED * median]
    rows = tuple((told.class_names[c], str(counts[c]), _recall(told, int(c))) for c in starved)
    return DataCheck(
        "starved classes", told.split, len(told.labels), len(starved),
        f"{len(starved)} of {len(counts)} classes of {told.split} have less than a quarter of the median, "
        f"{median:.0f}.",
        ("class", "images", "recall"), rows,
    )  # fmt: skip


def _recall(told: Predictions, label: int) -> str:
    own = told.labels == label
    return f"{100 * float((told.predicted[own] == label).mean()):.0f} %" if own.any() else "no images"


def _size(told: Predictions) -> DataCheck:
    """Classes whose recall cannot be told, and whether the accuracy can."""
    counts = np.bincount(told.labels, minlength=len(told.class_names))
    few = [c for c in np.argsort(counts, kind="stable") if counts[c] < _FEW]
    n = len(told.labels)
    accuracy = share_of(told.predicted == told.labels, told.groups)
    width = (accuracy.high or 1.0) - (accuracy.low or 0.0)
    too_small = width > _WIDE
    verdict = "too small to say how accurate the model is" if too_small else "large enough for the accuracy"
    return DataCheck(
        "split size", told.split, n, len(few),
        f"{told.split} is {verdict} (interval {100 * width:.0f} points wide); {len(few)} of {len(counts)} classes have "
        f"fewer than {_FEW} images, too few for their recall.",
        ("class", "images"), tuple((told.class_names[c], str(counts[c])) for c in few), too_small=too_small,
    )  # fmt: skip


def _odd_files(material: SplitSample) -> DataCheck:
    """Tiny, dark, flat or blurred images, each with the measure that says so."""
    side = float(np.sqrt(np.prod(material.pixels.shape[1:3])))
    found = []
    for i, image in enumerate(material.pixels):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        height, width = material.sizes[i]
        if min(height, width) < 0.5 * side:
            found.append((i, "tiny", f"{width} x {height} pixels"))
        elif grey.std() < _FLAT:
            found.append((i, "flat", f"deviation {grey.std():.1f} of 255"))
        elif grey.mean() < _DARK:
            found.append((i, "dark", f"mean {grey.mean():.0f} of 255"))
        elif (blurred := blur_metric(image.astype(np.float32), np.ones(grey.shape, bool))) > _BLURRED:
            found.append((i, "blurred", f"blur metric {blurred:.2f}"))
    kinds = Counter(kind for _, kind, _ in found)
    told = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) or "none"
    return DataCheck(
        "odd files", material.split, len(material), len(found),
        f"Of {len(material)} images of {material.split} looked at, odd ones: {told}.",
        ("image", "what", "measure"), tuple((material.ids[i], kind, how) for i, kind, how in found[:ROWS]),
        tuple(material.ids[i] for i, _, _ in found[:ROWS]),
    )  # fmt: skip
