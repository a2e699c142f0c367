"""The diagnosis in the reader's words: what each cause explains of a gap, and all that its section shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fruitaudit.diagnosis.attacks.shortcuts import FRAME, LEAST_FLIPS
from fruitaudit.records.diagnosis import Decomposition, Diagnosis, Experiment, GapCheck, GapShare
from fruitaudit.records.numbers import tenths
from fruitaudit.report import experiments, shift, waterfall
from fruitaudit.report import points as in_points
from fruitaudit.report.attacks import attack_charts, turned_rows
from fruitaudit.report.examples import example_strips
from fruitaudit.report.folder import Folder
from fruitaudit.report.points import between, points
from fruitaudit.report.waterfall import in_order
from fruitaudit.report.words import percent
from fruitaudit.runtime.text import listed

FARTHEST = 20
"""Errors named that are farthest from training."""

CHECKS = {
    "recomposition": "Cutting objects out and putting them back changes nothing by itself",
    "confusions": "The changed lab pictures are confused with each other as the field's photos are",
    "control": "Another disturbance of the same size costs less",
}
PASSED = {True: "Pass", False: "Fail", None: "Not computed"}
PARTS: dict[Experiment, str] = {
    "experiments": "Experiments",
    "field_experiments": "Field experiments",
    "shortcuts": "Shortcuts",
    "attacks": "Attacks",
    "pertinent_negatives": "Pertinent negatives",
    "labels": "Check of the labels",
    "feature_space": "Comparison in the model's features",
    "nearest_training_image": "Nearest training image",
    "decomposition": "Division of the loss among causes",
}
DIVIDING: tuple[Experiment, ...] = ("experiments", "field_experiments", "decomposition")
"""Without these no loss is divided among causes."""


def _small(title: str) -> str:
    """A title within a sentence; abbreviations keep their capitals."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def headline(gap: Decomposition) -> str:
    """One sentence: what was lost, how much of it each cause explains, what stays open."""
    lost = f"{points(gap.gap.value)} of accuracy are lost between {gap.lab_split} and {gap.field_split}"
    sentences = [f"{tenths(s.points.value)} to {_small(s.title)}" for s in in_order(gap) if s.counts]
    uncounted_shares = [s for s in in_order(gap) if not s.counts and abs(s.points.value) >= 0.0005]
    cost = tenths(sum(s.points.value for s in uncounted_shares))
    if not sentences:
        open_ = f", and no cause is proven: the changes tried cost {cost} in the lab, but did not pass the checks"
        return f"{lost}{open_ if uncounted_shares else ', and no change tried costs any'}; {_unexplained(gap)}."
    parts = [f"{lost}: {listed(sentences)}"]
    if uncounted_shares:
        parts.append(
            f"{listed([_small(s.title) for s in uncounted_shares])} cost {cost} more, but did not pass the checks"
        )
    return "; ".join([*parts, _unexplained(gap)]) + "."


def uncounted(gap: Decomposition) -> dict[str, list[GapShare]]:
    """Shares that are drawn hatched, the largest first, by the reason why they do not count."""
    shares: dict[str, list[GapShare]] = {}
    for share in in_order(gap):
        if not share.counts:
            shares.setdefault(share.why, []).append(share)
    return shares


def _unexplained(gap: Decomposition) -> str:
    remainder = gap.unexplained
    if remainder.low is not None and remainder.high is not None and remainder.low <= 0 <= remainder.high:
        return (
            f"what is left, {points(remainder.value, signed=True)}, may be chance ({between(remainder, signed=True)})"
        )
    if remainder.value < 0:
        excess = points(-remainder.value)
        return f"the changes together cost {excess} more than the field does, so the shares are too large"
    return f"{points(remainder.value)} stay unexplained"


def measured(gap: Decomposition) -> str:
    """From where to where, on how many images, and how the loss was divided."""
    lab, field = gap.lab_split, gap.field_split
    interval = f"95 % interval of the loss {between(gap.gap)} points; " if between(gap.gap) else ""
    return (
        f"{percent(gap.lab.value)} of the answers are right on {lab}, {percent(gap.field.value)} on {field} "
        f"({interval}{gap.lab.n:,} and {gap.field.n:,} images were used). Each suspected cause was brought into the "
        f"pictures of {lab}, as strong as {field} has it, and the model was asked again. A cause gets its Shapley "
        f"share: what it costs on average over the orders in which the changes can be made ({gap.method})."
    )


def check_title(check: GapCheck) -> str:
    """What is true where the check is passed."""
    return CHECKS[check.name]


def undivided(diagnosis: Diagnosis) -> list[str]:
    """Why losses were not divided among causes."""
    return [skipped.reason.reason for skipped in diagnosis.not_run if skipped.name in DIVIDING]


def left_out(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """(what, why) of the experiments that were not made as a whole."""
    for skipped in diagnosis.not_run:
        title = PARTS[skipped.name]
        yield (f"{title}, {skipped.split}" if skipped.split else title), skipped.reason.reason


def far_errors(diagnosis: Diagnosis) -> tuple[int, int]:
    """Errors that lie farther from training than 95 % of the lab's right answers do, and all that were looked at."""
    return sum(d.rank > 0.95 for d in diagnosis.distances), len(diagnosis.distances)


def context(folder: Folder, diagnosis: Diagnosis) -> dict[str, Any]:
    """What the template needs: views of the records, and the words for numbers."""
    return {
        "not_made": "",
        "diagnosis": diagnosis,
        "gap_views": [_gap(folder, diagnosis, gap) for gap in diagnosis.decompositions],
        "undivided": undivided(diagnosis),
        "tables": experiments.effect_tables(diagnosis),
        "notes": experiments.notes(diagnosis),
        "trials": experiments.trial_table(diagnosis.trials),
        "attacks": attack_charts(diagnosis.attacks),
        "turned": turned_rows(folder, diagnosis),
        "plots": shift.shift_plots(diagnosis.shifts),
        "classifiers": shift.split_classifiers(folder, diagnosis),
        "far": far_errors(diagnosis),
        "checks": experiments.data_checks(diagnosis.listings),
        "left_out": list(left_out(diagnosis)),
        "shortcuts_sought": all(skipped.name != "shortcuts" for skipped in diagnosis.not_run),
        "input_size": folder.results.model.input_shape[:2],
        "thumbnails": lambda ids: [(i, uri) for i in ids if (uri := shift.thumbnail(folder, i))],
        **_WORDS,
    }


_WORDS: dict[str, Any] = {
    "WATERFALL_ROW": waterfall.ROW,
    "SHIFT_ROW": shift.ROW,
    "FARTHEST": FARTHEST,
    "TELLS": LEAST_FLIPS,
    "FRAME": FRAME,
    "PASSED": PASSED,
    "tenths": tenths,
    "between": between,
    "of_points": points,
    "lost_or_won": in_points.lost_or_won,
    "accuracy_change": in_points.in_cell,
    "at_share": in_points.at_share,
    "check_title": check_title,
    "listing_title": experiments.listing_title,
}


def _gap(folder: Folder, diagnosis: Diagnosis, gap: Decomposition) -> dict[str, Any]:
    shares = in_order(gap)
    return {
        "gap": gap,
        "headline": headline(gap),
        "measured": measured(gap),
        "waterfall": waterfall.waterfall(gap),
        "shares": shares,
        "uncounted": uncounted(gap),
        "strips": example_strips(folder, diagnosis, gap),
    }
