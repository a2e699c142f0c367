"""What is wrong with the data: shortcuts, repetitions across splits, wrong labels, starved classes, small splits."""

from __future__ import annotations

from collections.abc import Iterator

from fruitaudit.diagnosis.data_checks.labels import WORKSHEET
from fruitaudit.diagnosis.evidence import DiagnosisEvidence, points
from fruitaudit.records.data_checks import DataCheck, DataCheckNotRun
from fruitaudit.records.diagnosis import CauseFinding, Remedy
from fruitaudit.statistics.intervals import difference, share_of, wilson

REPEATED = 0.05
"""Share of a test split (lower end of its interval) that may repeat training images."""
REPEATED_NEARLY = 0.15
"""The same where no repetition is exact: photos may be alike by nature."""
RECALL_LOSS = 0.05
"""Recall that a starved class surely loses to the others before this is called a cause."""
DOUBTFUL = 0.04
"""Share of doubtful labels of a class (lower end of its interval) that may be the model's own confusion."""


def of_data(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    """All of them."""
    yield from _shortcuts(evidence)
    yield from _leaks(evidence)
    yield from _labels(evidence)
    yield from _starved(evidence)
    yield from _small(evidence)


def _shortcuts(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    for shortcut in evidence.shortcuts:
        background = shortcut.kind == "background"
        yield CauseFinding(
            "shortcut-background" if background else "shortcut-region",
            "cause",
            f"The model knows {shortcut.class_name} by something outside the object ({shortcut.region}). "
            + shortcut.sentence,
            (f"answers turned: {shortcut.flips.text(share=True)}", f"control: {shortcut.control.text(share=True)}"),
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


def _leaks(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    """Only repetitions of training images count: between test and field nothing was learned by heart."""
    roles = {name: p.role for name, p in evidence.predictions.items()}
    for listing in evidence.listings:
        if isinstance(listing, DataCheckNotRun) or listing.name not in ("duplicates across", "shared groups"):
            continue
        one, other = listing.split, listing.other
        if "reference" not in (roles[one], roles[other]) or roles[one] == roles[other]:
            continue
        share = wilson(min(listing.total, listing.n), listing.n)
        groups = listing.name == "shared groups"
        certain = groups or listing.exact > 0
        if (share.low or 0) <= (REPEATED if certain else REPEATED_NEARLY):
            continue
        evaluation_split = one if roles[one] != "reference" else other
        yield CauseFinding(
            "leak-groups" if groups else "leak-duplicates",
            "cause",
            f"{evaluation_split} is not independent of the training images: {listing.sentence}",
            (f"{'at least, ' if listing.lower_bound else ''}share of {listing.where}: {share.text(share=True)}",
             *(" | ".join(row) for row in listing.rows[:3])),
            Remedy("Split by source (group_id), so that no object is photographed for both sides, and measure again; "
                   f"until then the accuracy on {evaluation_split} says little about new images."),
            0.1 * share.value,
            1.0,
            listing.sample_ids,
            evaluation_split,
        )  # fmt: skip


def _labels(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
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
                f"Look through the {len(check.doubts)} rows of {check.listing.split} in {WORKSHEET}, in the output "
                "folder, by eye; correct the labels, then train again."
            ),
            share.value * (share.n / max(1, check.listing.n)),
            1.0,
            check.listing.sample_ids,
            check.listing.split,
        )


def _starved(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    """A class with few training images and a lower recall than the others."""
    roles = {name: p.role for name, p in evidence.predictions.items()}
    for listing in evidence.listings:
        if isinstance(listing, DataCheckNotRun) or listing.name != "starved classes" or not listing.rows:
            continue
        if roles[listing.split] != "reference":
            continue
        lab_predictions = evidence.predictions[evidence.lab]
        for name, images, _ in listing.rows:
            in_class = lab_predictions.labels == lab_predictions.class_names.index(name)
            correct = lab_predictions.predicted == lab_predictions.labels
            if not in_class.any() or in_class.all():
                continue
            groups = lab_predictions.groups
            recalls = [
                share_of(correct[rows], None if groups is None else groups[rows]) for rows in (~in_class, in_class)
            ]
            gap = difference(*recalls)
            loses_recall = (gap.low or 0) > RECALL_LOSS
            yield CauseFinding(
                "starved-class",
                "cause" if loses_recall else "warning",
                f"{name} has only {images} training images, and its recall on {lab_predictions.split} is "
                f"{points(gap.value)} below that of the other classes." if loses_recall else
                f"{name} has only {images} training images; its recall on {lab_predictions.split} does not show it.",
                (listing.sentence, f"recall of {name}: {recalls[1].text()}; of the others: {recalls[0].text()}"),
                Remedy(f"Collect images of {name}; until then weight the class in the loss.",
                       ("model.fit(..., class_weight={...})",)),
                max(0.0, gap.value) * float(in_class.mean()),
                1.0,
                split=listing.split,
            )  # fmt: skip


def _small(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    for listing in evidence.listings:
        if isinstance(listing, DataCheck) and listing.too_small:
            yield CauseFinding("small-split", "note", listing.sentence, (), Remedy("Label more images."), 0.0, 1.0,
                               split=listing.split)  # fmt: skip
