"""Numbers of the experiments -> ranked findings: a sentence, its evidence, and what to do.

Only what an experiment or a count showed is called a cause. Pipeline faults come before everything else: until they
are mended no other figure means anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fruitaudit.diagnosis.factors import Factors
from fruitaudit.diagnosis.labels import LabelCheck
from fruitaudit.diagnosis.remedies import remedy_of
from fruitaudit.diagnosis.variety import Variety
from fruitaudit.evaluation.intervals import difference, wilson
from fruitaudit.records.diagnosis import (
    CauseFinding,
    Decomposition,
    Effect,
    EffectNotRun,
    GapShare,
    Listing,
    ListingNotRun,
    PreprocessingTrial,
    Remedy,
    Shortcut,
)
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate

FAR = 0.1
"""Gain of accuracy on the lab's own test split from which another preparation is called right."""
REPEATED = 0.05
"""Share of a test split (lower end of its interval) that may repeat training images."""
REPEATED_NEARLY = 0.15
"""The same where no repetition is exact: photos may be alike by nature."""
DOUBTFUL = 0.04
"""Share of doubtful labels of a class (lower end of its interval) that may be the model's own confusion."""
FEW_CLASSES = 0.25
"""Share of the classes up to which another colour is a variety of these, not a change of all."""
_ORDER = {"cause": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Evidence:
    """All that findings are made of."""

    listings: Sequence[Listing | ListingNotRun]
    labels: Sequence[LabelCheck]
    trials: Sequence[PreprocessingTrial]
    effects: Sequence[Effect | EffectNotRun]
    decompositions: Sequence[Decomposition]
    factors: Mapping[str, Factors]
    varieties: Sequence[Variety]
    shortcuts: Sequence[Shortcut]
    predictions: Mapping[str, Predictions]
    lab: str


def rank(evidence: Evidence) -> tuple[CauseFinding, ...]:
    """Worst first: by severity, pipeline faults first, then by effect times certainty."""
    pipeline = sorted(_pipeline(evidence), key=lambda f: -f.effect)
    others = [*_gap(evidence), *_varieties(evidence), *_shortcuts(evidence), *_leaks(evidence), *_labels(evidence),
              *_starved(evidence), *_small(evidence)]  # fmt: skip
    others.sort(key=lambda f: (_ORDER[f.severity], -f.effect * f.certainty))
    return (*pipeline, *others)


def points(value: float) -> str:
    """0.384 -> "38 points"; under ten, one decimal."""
    number = 100 * value
    return f"{number:.0f} points" if abs(number) >= 10 else f"{number:.1f} points"


def told(estimate: Estimate) -> str:
    """`+38.4 points (95 % interval 36.6 to 40.2; n = 320)`."""
    low, high = estimate.low, estimate.high
    interval = "" if low is None or high is None else f"95 % interval {100 * low:.1f} to {100 * high:.1f}; "
    return f"{100 * estimate.value:+.1f} points ({interval}n = {estimate.n})"


def percent(estimate: Estimate) -> str:
    """`15.3 % (95 % interval 11.8 to 19.7; n = 320)`."""
    low, high = estimate.low, estimate.high
    interval = "" if low is None or high is None else f"95 % interval {100 * low:.1f} to {100 * high:.1f}; "
    return f"{100 * estimate.value:.1f} % ({interval}n = {estimate.n})"


_WRONG_WAY = {
    "channel order": ("channel-order", "Red and blue are swapped between training and this pipeline",
                      "Mend the decoder: the model was trained on the other channel order (OpenCV: BGR)."),
    "scale": ("pixel-scale", "Pixels reach the model in another range than it was trained on",
              "Write this scale under model.preprocessing.scale and wherever the model is deployed."),
    "resize": ("resize", "Images are fitted to the model's size in another way than in training",
               "Write this under model.preprocessing.resize and wherever the model is deployed."),
    "interpolation": ("interpolation", "Images are resized with another interpolation than in training",
                      "Write this under model.preprocessing.interpolation and wherever the model is deployed."),
    "class order": ("class-order", "Class names are wired to the wrong outputs",
                    "Write the names in the order of the model's outputs under model.classes."),
}  # fmt: skip


def _pipeline(evidence: Evidence) -> Iterator[CauseFinding]:
    """The best other preparation, where it is far better on the lab's own test split too."""
    better = [t for t in evidence.trials if t.split == evidence.lab and (t.gain.low or 0) > FAR]
    if not better:
        return
    best = max(better, key=lambda t: t.gain.value)
    slug, what, remedy = _WRONG_WAY[best.setting]
    same = [t for t in evidence.trials if (t.setting, t.value) == (best.setting, best.value)]
    yield CauseFinding(
        slug,
        "cause",
        f'{what}: with {best.setting} "{best.value}" accuracy on {best.split} rises by {points(best.gain.value)} to '
        f"{100 * best.accuracy.value:.1f} %. The pipeline is wrong, not the model.",
        tuple(f"{t.split}: {percent(t.accuracy)}, paired gain {told(t.gain)}" for t in same),
        Remedy(remedy),
        best.gain.value,
        1.0,
        split=best.split,
    )


_SENTENCES = {
    "background": "what lies behind the object",
    "light": "light and colour cast",
    "scale": "the size and place of the object in the picture",
    "several": "several objects in one picture",
    "hue": "the objects' own colour (hue, variety, ripeness)",
    "wetness": "wet, glossy skin",
    "blur": "blurred photos",
    "noise": "noise",
    "jpeg": "JPEG compression",
}


def _gap(evidence: Evidence) -> Iterator[CauseFinding]:
    for gap in evidence.decompositions:
        total = gap.gap.value
        for share in gap.shares:
            if share.points.value >= 0.02 and (share.points.low or 0) > 0:
                yield _of_share(evidence, gap, share)
        if (gap.unexplained.low or 0) > 0.02:
            yield CauseFinding(
                "unexplained",
                "warning",
                f"{points(gap.unexplained.value)} of the {points(total)} lost between {gap.lab_split} and "
                f"{gap.field_split} are explained by none of the factors tried.",
                (f"accuracy of {gap.lab_split} under all factors together: {percent(gap.transformed)}",
                 f"accuracy on {gap.field_split}: {percent(gap.field)}", f"rest: {told(gap.unexplained)}"),
                Remedy("Label field photos and train with them: the lab cannot show what it never saw."),
                gap.unexplained.value,
                1.0,
                split=gap.field_split,
            )  # fmt: skip


def _varied(evidence: Evidence, field: str) -> list[str]:
    """The classes whose own colour differs, where they are few; empty where the whole field has another colour."""
    change = evidence.factors[field].changes.get("hue")
    names = evidence.predictions[field].class_names
    classes = change.classes if change else ()
    return [names[c] for c in classes] if len(classes) <= FEW_CLASSES * len(names) else []


def _of_share(evidence: Evidence, gap: Decomposition, share: GapShare) -> CauseFinding:
    effects = [e for e in evidence.effects if isinstance(e, Effect) and e.factor == share.factor]
    lines = [f"Shapley share {told(share.points)}; alone {100 * share.alone:.1f}, last {100 * share.last:.1f} points "
             f"({gap.method})", share.why]  # fmt: skip
    lines += [f"{e.direction.replace('_', ' ')} ({e.dose}) on {e.split}: {told(e.change)}" for e in effects]
    lines += [check.sentence for check in gap.checks if check.sentence != share.why]
    made = [check.passed for check in gap.checks if check.passed is not None]
    certainty = sum(made) / max(1, len(made)) if share.counts else 0.25
    part = min(1.0, share.points.value / gap.gap.value)
    varied = _varied(evidence, gap.field_split) if share.factor == "hue" else []
    what = f"a variety or ripeness of {' and '.join(varied)} that training never showed" if varied else (
        _SENTENCES[share.factor])  # fmt: skip
    what = what[0].upper() + what[1:]
    shown = (f"{what}: this explains {points(share.points.value)} of the "
             f"{points(gap.gap.value)} of accuracy lost between {gap.lab_split} and {gap.field_split} "
             f"({100 * part:.0f} % of the loss).")  # fmt: skip
    open_ = (f"{what}: this may play a part in the loss between {gap.lab_split} and "
             f"{gap.field_split}, but its share did not pass the controls.")  # fmt: skip
    return CauseFinding(
        "unseen-variety" if varied else share.factor,
        "cause" if share.counts else "warning",
        shown if share.counts else open_,
        tuple(lines),
        remedy_of(share.factor, evidence.factors[gap.field_split]),
        share.points.value,
        certainty,
        tuple(i for e in effects for i in e.flipped[:4]),
        gap.field_split,
    )


def _varieties(evidence: Evidence) -> Iterator[CauseFinding]:
    for variety in evidence.varieties:
        if variety.class_name in _varied(evidence, variety.split):
            continue  # the gap's own finding says so, with its share
        yield CauseFinding(
            "unseen-variety",
            "cause",
            f"{variety.class_name} looks in {variety.split} as training never showed it: its images are farther from "
            f"every training image of the class than {100 * variety.rank:.0f} % of the lab's, and its recall falls by "
            f"{points(variety.drop.value)}.",
            (f"recall of {variety.class_name}: {told(variety.drop)} less than in {evidence.lab}",
             f"median rank of the other classes' distances: {100 * variety.others_rank:.0f} %"),
            Remedy(f"Collect and label {variety.class_name} as it looks in {variety.split}: another variety or cut."),
            variety.effect,
            1.0,
            variety.sample_ids,
            variety.split,
        )  # fmt: skip


def _shortcuts(evidence: Evidence) -> Iterator[CauseFinding]:
    for shortcut in evidence.shortcuts:
        background = shortcut.region == "background"
        yield CauseFinding(
            "shortcut-background" if background else "shortcut-region",
            "cause",
            f"The model knows {shortcut.class_name} by something outside the object ({shortcut.region}). "
            + shortcut.sentence,
            (f"answers turned: {percent(shortcut.flips)}", f"control: {percent(shortcut.control)}"),
            Remedy(
                "Take training photos of every class on the same backgrounds, or exchange backgrounds between classes."
                if background
                else "Crop or paint over this region in the training images of every class, and train again."
            ),
            shortcut.flips.value,
            1.0,
            shortcut.sample_ids,
            shortcut.split,
        )


def _leaks(evidence: Evidence) -> Iterator[CauseFinding]:
    """Only repetitions of training images count: between test and field nothing was learned by heart."""
    roles = {name: p.role for name, p in evidence.predictions.items()}
    for listing in evidence.listings:
        if isinstance(listing, ListingNotRun) or listing.name not in ("duplicates across", "shared groups"):
            continue
        one, _, other = listing.split.partition(" in ")
        if "reference" not in (roles[one], roles[other]) or roles[one] == roles[other]:
            continue
        share = wilson(min(listing.total, listing.n), listing.n)
        exact = any(row[2] == "exact" for row in listing.rows if listing.name == "duplicates across")
        sure = exact or listing.name == "shared groups"
        if (share.low or 0) <= (REPEATED if sure else REPEATED_NEARLY):
            continue
        held = one if roles[one] != "reference" else other
        groups = listing.name == "shared groups"
        yield CauseFinding(
            "leak-groups" if groups else "leak-duplicates",
            "cause",
            f"{held} is not independent of the training images: {listing.sentence}",
            (f"share of {listing.split}: {percent(share)}",
             *(" | ".join(row) for row in listing.rows[:3])),
            Remedy("Split by source (group_id), so that no object is photographed for both sides, and measure again; "
                   f"until then the accuracy on {held} says little about new images."),
            0.1 * share.value,
            1.0,
            listing.sample_ids,
            held,
        )  # fmt: skip


def _labels(evidence: Evidence) -> Iterator[CauseFinding]:
    for check in evidence.labels:
        worst = check.worst()
        if worst is None:
            continue
        name, share, others = worst
        if (share.low or 0) <= max(DOUBTFUL, others.high or 1):
            continue
        yield CauseFinding(
            "wrong-labels",
            "cause",
            f"{100 * share.value:.0f} % of the labels of or for {name} in {check.listing.split} look wrong "
            f"({share.successes} of {share.n}; in the other classes {100 * others.value:.1f} %).",
            (check.listing.sentence, *(" | ".join(row) for row in check.listing.rows[:5])),
            Remedy(
                f"Look through the worksheet of {check.listing.split} by eye and correct the labels, then train again."
            ),
            share.value * (share.n / max(1, check.listing.n)),
            1.0,
            check.listing.sample_ids,
            check.listing.split,
        )


def _starved(evidence: Evidence) -> Iterator[CauseFinding]:
    """A class with few training images and a lower recall than the others."""
    roles = {name: p.role for name, p in evidence.predictions.items()}
    for listing in evidence.listings:
        if isinstance(listing, ListingNotRun) or listing.name != "starved classes" or not listing.rows:
            continue
        if roles[listing.split] != "reference":
            continue
        judged = evidence.predictions[evidence.lab]
        for name, images, _ in listing.rows:
            own = judged.labels == judged.class_names.index(name)
            right = judged.predicted == judged.labels
            if not own.any() or own.all():
                continue
            recalls = [wilson(int(right[rows].sum()), int(rows.sum())) for rows in (~own, own)]
            gap = difference(*recalls)
            hurt = (gap.low or 0) > 0.05
            yield CauseFinding(
                "starved-class",
                "cause" if hurt else "warning",
                f"{name} has only {images} training images, and its recall on {judged.split} is "
                f"{points(gap.value)} below that of the other classes." if hurt else
                f"{name} has only {images} training images; its recall on {judged.split} does not show it.",
                (listing.sentence, f"recall of {name}: {percent(recalls[1])}; of the others: {percent(recalls[0])}"),
                Remedy(f"Collect images of {name}; until then weight the class in the loss.",
                       ("model.fit(..., class_weight={...})",)),
                max(0.0, gap.value) * float(own.mean()),
                1.0,
                split=listing.split,
            )  # fmt: skip


def _small(evidence: Evidence) -> Iterator[CauseFinding]:
    for listing in evidence.listings:
        if isinstance(listing, Listing) and listing.name == "split size" and "too small to say" in listing.sentence:
            yield CauseFinding("small-split", "note", listing.sentence, (), Remedy("Label more images."), 0.0, 1.0,
                               split=listing.split)  # fmt: skip
